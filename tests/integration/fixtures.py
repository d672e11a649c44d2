"""pytest's fixtures for tests that need a daemon; conftest.py of each folder imports them."""

import os
import signal

import pytest

import leaks
from croft_harness import BUILD, IMAGES, PATIENCE, Daemon

LEAK_SECONDS = 10


def pytest_configure(config):
    # Told to end, it takes down what it has made, as when it is interrupted.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    config.addinivalue_line("markers", "vm: also runs in the cgroup v2 machine (tests/vm)")
    config.addinivalue_line("markers", "native(why): of those, what shows nothing new there")


@pytest.fixture(scope="session")
def schema():
    import api

    return api.Schema(os.path.join(BUILD, "proto", "croft.desc"))


def _needs_root():
    if os.geteuid() != 0:
        pytest.skip("needs root")


def _end(daemon):
    """Shuts an instance down in order, says what it left, and removes it whatever happened."""
    left, failure = [], None
    try:
        try:
            if daemon.revive():
                daemon.kill_all()
                daemon.shutdown()
        except AssertionError as e:
            failure = e
        left = leaks.wait_for_no_more_than(daemon, leaks.NOTHING, LEAK_SECONDS * PATIENCE)
        log = daemon.read_log()
    finally:
        daemon.finish()
    if failure:
        raise AssertionError(f"the instance did not shut down: {failure}\n{log[-3000:]}")
    assert not left, "left behind after host shutdown:\n  " + "\n  ".join(left)


@pytest.fixture
def bare_daemon(schema):
    """An instance that the test starts, and may leave in any state that host shutdown ends."""
    _needs_root()
    daemon = Daemon(schema)
    yield daemon
    _end(daemon)


@pytest.fixture
def daemon(bare_daemon):
    """A running instance without anything in it, of this test alone."""
    bare_daemon.start()
    return bare_daemon


@pytest.fixture
def fresh_box(daemon):
    """A running instance with the image busybox, of this test alone."""
    daemon.busybox()
    return daemon


class Kept:
    """An instance with the image busybox that tests use one after the other. One that a test
    has spoilt is thrown away, so that the next does not fail for it. Options are croftd's."""

    def __init__(self, schema, *options):
        self.schema, self.options, self.daemon = schema, options, None

    def make(self):
        return Daemon(self.schema)

    def get(self):
        if not self.daemon:
            self.daemon = self.make()
            try:
                self.daemon.start(*self.options)
                self.daemon.busybox()
            except BaseException:
                self.drop()
                raise
        return self.daemon

    def drop(self):
        self.daemon.finish()
        self.daemon = None


def keep(instance):
    """The body of a fixture `kept`."""
    _needs_root()
    yield instance
    if instance.daemon:
        _end(instance.daemon)


@pytest.fixture(scope="module")
def kept(schema):
    yield from keep(Kept(schema))


def _clear(daemon):
    """Everything but the image busybox, gone through the front door."""
    daemon.revive()
    daemon.kill_all()
    for tenant in daemon.json_lines("tenant", "list"):
        name = tenant["name"].removeprefix("tenants/")
        for hold in tenant.get("holds", []):
            daemon.ok("tenant", "resume", name, "--type", hold["type"].lower())
        daemon.ok("tenant", "delete", "--force", name, timeout=60)
    for plan in daemon.json_lines("plan", "list"):
        if plan["name"] != "plans/default":
            daemon.ok("plan", "delete", plan["name"].removeprefix("plans/"))
    for image in daemon.json_lines("image", "list"):
        if image["name"] != "images/busybox":
            daemon.ok("image", "delete", image["name"].removeprefix("images/"))


@pytest.fixture
def box(kept):
    """A running instance with the image busybox and nothing else. What the test makes in it is
    deleted after it, and then nothing of it may be left on the host."""
    daemon = kept.get()
    before = leaks.Holdings.look(daemon)
    daemon.begin_events()
    yield daemon
    try:
        _clear(daemon)
        left = leaks.wait_for_no_more_than(daemon, before, LEAK_SECONDS * PATIENCE)
        assert not left, "left behind:\n  " + "\n  ".join(left)
    except BaseException:
        log = daemon.read_log()
        kept.drop()
        print(log[-3000:])
        raise


@pytest.fixture
def shared(kept):
    """As `box`, but the test itself must take away what it made, and make nothing half."""
    daemon = kept.get()
    before = leaks.Holdings.look(daemon)
    tenants = daemon.ok("-o", "csv", "tenant", "list")
    containers = daemon.ok("-o", "csv", "list")
    yield daemon
    try:
        left = leaks.wait_for_no_more_than(daemon, before, LEAK_SECONDS * PATIENCE)
        assert not left, "left behind:\n  " + "\n  ".join(left)
        assert daemon.ok("-o", "csv", "tenant", "list") == tenants
        assert daemon.ok("-o", "csv", "list") == containers
    except BaseException:
        kept.drop()
        raise


@pytest.fixture(scope="session")
def debian_image():
    """A Debian 12 root file system with systemd, as a tar."""
    path = os.path.join(IMAGES, "debian12.tar.zst")
    if not os.path.isfile(path):
        pytest.skip("build/images/debian12.tar.zst is not there; make images")
    return path


@pytest.fixture(scope="session")
def nesting_image():
    """A Debian 12 with systemd and Podman, as a tar."""
    path = os.path.join(IMAGES, "nesting.tar.zst")
    if not os.path.isfile(path):
        pytest.skip("build/images/nesting.tar.zst is not there; make images")
    return path


@pytest.fixture(scope="session")
def app_images():
    """A directory with one application image as several tools write it."""
    path = os.path.join(IMAGES, "apps")
    if not os.path.isdir(path):
        pytest.skip("build/images/apps is not there; make images")
    return path


@pytest.fixture(scope="session")
def lxd_images():
    """A directory with images that LXD has exported: `published`, and one in `halves`."""
    path = os.path.join(IMAGES, "lxd")
    if not os.path.isdir(path):
        pytest.skip("build/images/lxd is not there; make images")
    return path
