"""What could not be made gives its name back before that is told: who tries again at once, with the
same name, is not told that it is taken. A failure is a directory in the place of what is to be
made, which the supervisor finds in its last step."""

import os

import pytest

from fixtures import Kept, keep

AGAIN = 5


@pytest.fixture(scope="module")
def kept(schema):
    """With a pool that takes a test's directories for its own."""
    yield from keep(Kept(schema, "--pool-driver", "plain"))


def plant(box, *path):
    """What a supervisor finds in the way, and croftd does not know of."""
    os.makedirs(os.path.join(f"/proc/{box.pid('supervisor')}/root{box.state}/pool", *path))


@pytest.fixture
def web(box):
    box.tenant()
    box.launch("acme/web")
    return box


def test_copy(web):
    for _ in range(AGAIN):
        plant(web, "tenants", "acme", "twin")
        web.refused("copy", "acme/web", "acme/twin", match="there is a container twin")
        web.ok("copy", "acme/web", "acme/twin")
        web.ok("delete", "acme/twin")
    assert [e["type"] for e in web.events()].count("container.copied") == AGAIN


def test_snapshot(web):
    for _ in range(AGAIN):
        plant(web, "tenants", "acme", "web.snapshots", "one")
        web.refused("snapshot", "create", "acme/web", "one", match="there is a snapshot")
        web.ok("snapshot", "create", "acme/web", "one")
        web.ok("snapshot", "delete", "acme/web", "one")


def test_published_image(web):
    web.ok("snapshot", "create", "acme/web", "one")
    for _ in range(AGAIN):
        plant(web, "images", "mine")
        web.refused("snapshot", "publish", "acme/web", "one", "mine", match="there is an image")
        web.ok("snapshot", "publish", "acme/web", "one", "mine")
        web.ok("image", "delete", "mine")


def test_tenant(box):
    for _ in range(AGAIN):
        box.refused("tenant", "create", "acme", "--disk", "1G", match="disk")
        box.ok("tenant", "create", "acme")
        box.ok("tenant", "delete", "acme")
