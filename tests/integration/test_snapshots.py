"""What a container was at a moment: kept while it runs, gone back to, removed; also when whoever
does it is killed in the middle."""


import pytest

from croft_harness import wait_until
from fixtures import Kept, keep


@pytest.fixture(scope="module", params=[
    "btrfs", pytest.param("plain", marks=pytest.mark.native("a copy, on any kernel"))])
def kept(request, schema):
    """Also on a pool that has to copy: what is killed is killed in the middle."""
    options = ("--pool-driver", "plain") if request.param == "plain" else ()
    yield from keep(Kept(schema, *options))


def names(daemon, name="acme/web"):
    return [s["name"].rpartition("/")[2] for s in daemon.json_lines("snapshot", "list", name)]


def stop(daemon, name="acme/web"):
    daemon.ok("kill", name)
    daemon.wait_state(name, "STOPPED")


def event_types(daemon):
    return [e["type"] for e in daemon.events()]


@pytest.mark.vm
def test_the_whole_story(box):
    box.tenant()
    before = box.launch("acme/web", pids=50)
    box.sh("acme/web", "echo first >/file; mkdir /d; echo x >/d/one; ln /d/one /d/two;"
                       "rm /etc/passwd; chown 5:6 /d/one; chmod 4755 /d/one; mkfifo /d/fifo")
    made = box.json("snapshot", "create", "acme/web", "before")
    assert made["name"] == "tenants/acme/containers/web/snapshots/before"
    assert made["image"] == "images/busybox" and made["limits"]["pids"] == 50
    # It goes on running, and is not shown as frozen.
    after = box.info("acme/web")
    assert after["state"] == "RUNNING" and after["run"]["id"] == before["run"]["id"]
    box.sh("acme/web", "echo second >/file; rm -r /d; echo root::0:0::/:/bin/sh >/etc/passwd")
    box.ok("set", "acme/web", "--pids", "60")
    box.ok("snapshot", "create", "acme/web", "after")
    assert names(box) == ["after", "before"]
    box.refused("snapshot", "restore", "acme/web", "before", match="running")
    stop(box)
    box.ok("snapshot", "restore", "acme/web", "before")
    assert box.info("acme/web")["limits"]["pids"] == 50
    box.ok("start", "acme/web")
    assert box.cgroup("acme/web").pids_max() == 50
    assert box.sh("acme/web", "cat /file; stat -c '%a %u %g %h' /d/one /d/two;"
                              "test -p /d/fifo; test -e /etc/passwd || echo gone") == (
        "first\n4755 5 6 2\n4755 5 6 2\ngone\n")
    stop(box)
    box.ok("snapshot", "restore", "acme/web", "after")
    box.ok("start", "acme/web")
    assert box.sh("acme/web", "cat /file; test -e /d || echo gone") == "second\ngone\n"
    box.ok("snapshot", "delete", "acme/web", "before")
    assert names(box) == ["after"]
    types = event_types(box)
    assert types.count("snapshot.created") == 2 and types.count("snapshot.restored") == 2
    assert types.count("snapshot.deleted") == 1
    made = next(e for e in box.events() if e["type"] == "snapshot.created")
    assert '"snapshot":"before"' in made["details_json"].replace(" ", "")


def test_what_cannot_be_is_refused(box):
    box.tenant()
    box.launch("acme/web")
    box.ok("snapshot", "create", "acme/web", "one")
    box.refused("snapshot", "create", "acme/web", "one", match="already")
    box.refused("snapshot", "create", "acme/web", "One!", match="name")
    box.refused("snapshot", "create", "acme/none", "one", match="no container")
    box.refused("snapshot", "restore", "acme/web", "two", match="no snapshot two")
    box.refused("snapshot", "delete", "acme/web", "two", match="no snapshot two")
    stop(box)
    # What a snapshot needs stays; what has snapshots goes only when that was said.
    box.refused("delete", "acme/web", match="1 snapshot")
    box.ok("create", "busybox", "acme/other")
    box.ok("delete", "--force", "acme/web")
    box.refused("snapshot", "list", "acme/web", match="no container")
    # Its snapshots have gone with it.
    box.ok("create", "busybox", "acme/web")
    assert names(box) == []
    # Only its own tenant has to do with it.
    box.ok("snapshot", "create", "acme/web", "one")
    box.tenant("other")
    box.ok("tenant", "bind", "other", "4242")
    box.refused("snapshot", "list", "acme/web", uid=4242, match="no tenant acme")
    box.refused("snapshot", "delete", "acme/web", "one", uid=4242, match="no tenant acme")
    box.ok("tenant", "bind", "acme", "4243")
    box.ok("snapshot", "create", "acme/web", "two", uid=4243)
    assert names(box) == ["one", "two"]


def test_an_image_in_use_by_a_snapshot_stays(box):
    box.ok("image", "build-busybox", "second")
    box.tenant()
    box.ok("create", "second", "acme/web")
    box.ok("snapshot", "create", "acme/web", "one")
    box.refused("image", "delete", "second", match="container")
    box.ok("delete", "--force", "acme/web")
    box.ok("image", "delete", "second")


def test_limits_of_the_past_are_within_those_of_now(box):
    """A tenant that has less now can still go back: with as much of it as it may have."""
    box.tenant()
    box.ok("create", "busybox", "acme/web", "--pids", "200", "--memory", "64MiB")
    box.ok("snapshot", "create", "acme/web", "one")
    box.ok("set", "acme/web", "--pids", "20", "--memory", "32MiB")
    box.ok("tenant", "set", "acme", "--pids", "100")
    box.ok("snapshot", "restore", "acme/web", "one")
    box.ok("copy", "acme/web", "acme/copy", "--snapshot", "one")
    for name in ("acme/web", "acme/copy"):
        limits = box.info(name)["limits"]
        assert limits["pids"] == 100 and limits["memory_bytes"] == 64 << 20, limits
        box.ok("start", name)
        box.ok("kill", name)
    box.ok("tenant", "set", "acme", "--pids", "300")
    box.ok("snapshot", "restore", "acme/web", "one")
    assert box.info("acme/web")["limits"]["pids"] == 200


def test_frozen_stays_frozen(box):
    box.tenant()
    box.launch("acme/web")
    box.ok("freeze", "acme/web")
    box.ok("snapshot", "create", "acme/web", "one")
    assert box.info("acme/web")["state"] == "FROZEN"
    box.ok("thaw", "acme/web")
    assert box.sh("acme/web", "echo alive") == "alive\n"


def test_a_request_sent_again_is_not_carried_out_again(box):
    box.tenant()
    box.ok("create", "busybox", "acme/web")
    parent = "tenants/acme/containers/web"
    with box.api() as api:
        request = {"parent": parent, "snapshot_id": "one", "request_id": "a"}
        first = api.call("Snapshots/CreateSnapshot", request)
        assert api.call("Snapshots/CreateSnapshot", request) == first
        request = {"name": f"{parent}/snapshots/one", "request_id": "b"}
        restored = api.call("Snapshots/RestoreSnapshot", request)
        assert api.call("Snapshots/RestoreSnapshot", request) == restored
        request = {"name": f"{parent}/snapshots/one", "request_id": "c"}
        api.call("Snapshots/DeleteSnapshot", request)
        api.call("Snapshots/DeleteSnapshot", request)
    types = event_types(box)
    assert types.count("snapshot.created") == 1 and types.count("snapshot.deleted") == 1
    assert types.count("snapshot.restored") == 1


def test_how_many_there_may_be(box):
    box.tenant()
    box.ok("create", "busybox", "acme/web")
    with box.api() as api:
        for i in range(128):
            api.call("Snapshots/CreateSnapshot", {
                "parent": "tenants/acme/containers/web", "snapshot_id": f"s{i}"})
        page = api.call("Snapshots/ListSnapshots", {
            "parent": "tenants/acme/containers/web", "page_size": 100})
        assert len(page["snapshots"]) == 100 and page["next_page_token"]
    box.refused("snapshot", "create", "acme/web", "more", match="128 snapshots")
    assert len(names(box)) == 128


@pytest.mark.parametrize("who", [("croftd",), ("supervisor",), ("croftd", "supervisor")],
                         ids="+".join)
def test_killed_in_the_middle(box, who):
    """Each snapshot is whole or not there, each restore done or not begun, and nothing is left."""
    box.tenant()
    box.launch("acme/web")
    box.sh("acme/web", "mkdir /d; i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo $i >/d/$i; done;"
                       "echo first >/file")
    box.ok("snapshot", "create", "acme/web", "base")
    box.sh("acme/web", "echo second >/file")

    def during(*command, after):
        box.killed_during(who, after, lambda: box.croft(*command))

    for round_ in range(3):
        during("snapshot", "create", "acme/web", f"s{round_}", after=0.01 + 0.02 * round_)
        assert box.sh("acme/web", "cat /file") == "second\n"
        assert box.info("acme/web")["state"] == "RUNNING"
    stop(box)
    for name in names(box):
        wait_until("it can be restored", lambda n=name:
                   box.croft("snapshot", "restore", "acme/web", n).rc == 0)
        box.ok("start", "acme/web")
        assert box.sh("acme/web", "ls /d | wc -l; cat /file") == (
            "300\nfirst\n" if name == "base" else "300\nsecond\n")
        stop(box)
    for round_ in range(3):
        during("snapshot", "restore", "acme/web", "base", after=0.01 + 0.02 * round_)
        wait_until("it can be started", lambda: box.croft("start", "acme/web").rc == 0)
        assert box.sh("acme/web", "ls /d | wc -l; cat /file") in (
            "300\nfirst\n", "300\nsecond\n")
        box.sh("acme/web", "echo second >/file")
        stop(box)
    wait_until("all can be deleted", lambda: all(
        box.croft("snapshot", "delete", "acme/web", n).rc == 0 for n in names(box)))
    # What was half made goes by itself, behind.
    wait_until("it can be deleted", lambda: box.croft("delete", "acme/web").rc == 0)
