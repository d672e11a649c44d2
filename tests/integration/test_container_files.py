"""A container's files as a whole: copied to another, under another name, begun anew."""

import threading
import time

import pytest

from croft_harness import wait_until


def stop(daemon, name="acme/web"):
    daemon.ok("kill", name)
    daemon.wait_state(name, "STOPPED")


def names(daemon):
    return sorted(c["name"].rpartition("/")[2] for c in daemon.json_lines("list", "acme"))


def event_types(daemon):
    return [e["type"] for e in daemon.events()]


@pytest.mark.vm
def test_copy_of_a_running_one(box):
    box.tenant()
    before = box.launch("acme/web", pids=40)
    box.sh("acme/web", "echo first >/file; ln /file /link; rm /etc/passwd")
    box.ok("copy", "acme/web", "acme/twin")
    assert box.info("acme/web")["run"]["id"] == before["run"]["id"]
    box.sh("acme/web", "echo second >/file")
    copied = box.info("acme/twin")
    assert copied.get("state", "STOPPED") == "STOPPED" and copied["limits"]["pids"] == 40
    assert copied["uid"] != before["uid"]
    box.ok("start", "acme/twin")
    twin = box.info("acme/twin")
    assert twin["run"]["id_base"] != before["run"]["id_base"]
    assert box.sh("acme/twin", "hostname; cat /link; test -e /etc/passwd || echo gone") == (
        "twin\nfirst\ngone\n")
    assert box.sh("acme/web", "cat /file") == "second\n"
    assert "container.copied" in event_types(box)


def test_copy_of_the_past(box):
    box.tenant()
    box.launch("acme/web", pids=40)
    box.sh("acme/web", "echo first >/file")
    box.ok("snapshot", "create", "acme/web", "one")
    box.sh("acme/web", "echo second >/file")
    box.ok("set", "acme/web", "--pids", "50")
    box.ok("copy", "acme/web", "acme/twin", "--snapshot", "one")
    box.ok("start", "acme/twin")
    assert box.sh("acme/twin", "cat /file") == "first\n"
    assert box.cgroup("acme/twin").pids_max() == 40
    # It shares nothing with what it was made from.
    box.ok("delete", "--force", "acme/web")
    assert box.sh("acme/twin", "cat /file") == "first\n"
    box.refused("copy", "acme/twin", "acme/third", "--snapshot", "one", match="no snapshot one")


def test_what_cannot_be_is_refused(box):
    box.tenant(containers=2)
    box.launch("acme/web")
    box.refused("copy", "acme/none", "acme/twin", match="no container")
    box.refused("copy", "acme/web", "acme/web", match="already")
    assert box.croft("copy", "acme/web", "other/web").rc == 2
    box.refused("rename", "acme/web", "site", match="running")
    box.refused("rebuild", "acme/web", "busybox", match="running")
    box.ok("copy", "acme/web", "acme/twin")
    box.refused("copy", "acme/web", "acme/third", match="2 containers")
    stop(box)
    box.refused("rename", "acme/web", "twin", match="already")
    box.refused("rename", "acme/web", "Twin", match="name")
    box.refused("rebuild", "acme/web", "nothing", match="no image nothing")
    assert names(box) == ["twin", "web"]


@pytest.mark.vm
def test_rename(box):
    box.tenant()
    box.launch("acme/web", pids=40)
    uid = box.info("acme/web")["uid"]
    box.sh("acme/web", "echo first >/file")
    box.ok("snapshot", "create", "acme/web", "one")
    stop(box)
    used = box.usage("acme/web")["cpu_usec"]
    box.ok("rename", "acme/web", "site")
    box.refused("info", "acme/web", match="no container")
    info = box.info("acme/site")
    assert info["uid"] == uid and info["limits"]["pids"] == 40
    assert box.usage("acme/site")["cpu_usec"] == used
    box.ok("start", "acme/site")
    assert box.sh("acme/site", "hostname; cat /file") == "site\nfirst\n"
    stop(box, "acme/site")
    # The name is free for another, which has none of it.
    box.ok("create", "busybox", "acme/web")
    assert box.json_lines("snapshot", "list", "acme/web") == []
    assert len(box.json_lines("snapshot", "list", "acme/site")) == 1
    box.ok("snapshot", "restore", "acme/site", "one")
    # Also for croftd's next.
    box.kill9("croftd")
    box.restart("croftd")
    assert names(box) == ["site", "web"]
    renamed = next(e for e in box.events() if e["type"] == "container.renamed")
    assert renamed["resource"] == "tenants/acme/containers/site"


def test_rebuild(box):
    box.ok("image", "build-busybox", "newer")
    box.tenant()
    box.launch("acme/web", pids=40)
    box.sh("acme/web", "echo first >/file")
    box.ok("snapshot", "create", "acme/web", "old")
    stop(box)
    box.ok("rebuild", "acme/web", "newer")
    info = box.info("acme/web")
    assert info["image"] == "images/newer" and info["limits"]["pids"] == 40
    box.ok("start", "acme/web")
    assert box.sh("acme/web", "test -e /file || echo gone") == "gone\n"
    stop(box)
    # Back to before, image and all.
    box.ok("snapshot", "restore", "acme/web", "old")
    assert box.info("acme/web")["image"] == "images/busybox"
    box.ok("start", "acme/web")
    assert box.sh("acme/web", "cat /file") == "first\n"
    assert "container.rebuilt" in event_types(box)


def test_publish(box):
    box.tenant(disk="64M")
    box.launch("acme/web")
    box.sh("acme/web", "echo first >/file; ln /file /etc/link; rm /etc/passwd; chown 5:6 /file;"
                       "rm -rf /tmp; mkdir /tmp; dd if=/dev/urandom of=/big bs=1M count=20")
    box.ok("snapshot", "create", "acme/web", "one")
    box.ok("tenant", "bind", "acme", "4243")
    box.refused("snapshot", "publish", "acme/web", "one", "mine", uid=4243, match="operators")
    box.refused("snapshot", "publish", "acme/web", "two", "made", match="no snapshot two")
    box.refused("snapshot", "publish", "acme/web", "one", "busybox", match="already")
    made = box.json("snapshot", "publish", "acme/web", "one", "made")
    base = box.json("image", "show", "busybox")
    assert made["init"] == base["init"] and made["stop_signal"] == base["stop_signal"]
    assert made["size_bytes"] > base["size_bytes"] + (20 << 20)
    assert "image.published" in event_types(box)
    # It is nobody's now, and stays when what it was made of has gone.
    box.ok("delete", "--force", "acme/web")
    box.tenant("other")
    box.launch("other/web", image="made")
    assert box.sh("other/web", "cat /etc/link; stat -c '%u %g %h' /file; ls /tmp | wc -l;"
                               "test -e /etc/passwd || echo gone") == "first\n5 6 2\n0\ngone\n"
    # Nor does it count to the tenant any more.
    box.launch("acme/next")
    box.sh("acme/next", "dd if=/dev/urandom of=/big bs=1M count=45 && sync", timeout=60)


@pytest.mark.parametrize("who", [("croftd",), ("croftd", "supervisor")], ids="+".join)
def test_publish_killed_in_the_middle(box, who):
    box.tenant()
    box.launch("acme/web")
    box.sh("acme/web", "mkdir /d; i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo $i >/d/$i; done")
    box.ok("snapshot", "create", "acme/web", "one")
    for i in range(3):
        worker = threading.Thread(
            target=box.croft, args=("snapshot", "publish", "acme/web", "one", "made"))
        worker.start()
        time.sleep(0.005 + 0.015 * i)
        for which in who:
            box.kill9(which)
        box.restart(*who)
        worker.join()
        # The name is free again, or the image is whole.
        wait_until("it is published", lambda: box.croft(
            "snapshot", "publish", "acme/web", "one", "made").rc == 0
            or any(i["name"] == "images/made" for i in box.json_lines("image", "list")))
        box.launch("acme/made", image="made")
        assert box.sh("acme/made", "ls /d | wc -l") == "300\n"
        box.ok("delete", "--force", "acme/made")
        wait_until("it can be deleted", lambda: box.croft("image", "delete", "made").rc == 0)


def test_requests_sent_again(box):
    box.tenant()
    box.ok("create", "busybox", "acme/web")
    with box.api() as api:
        name = "tenants/acme/containers/web"
        for method, more in (("Copy", {"container_id": "twin"}), ("Rebuild", {
                "image": "images/busybox"}), ("Rename", {"container_id": "site"})):
            request = {"name": name, "request_id": method, **more}
            first = api.call(f"Containers/{method}Container", request)
            assert api.call(f"Containers/{method}Container", request) == first
    assert names(box) == ["site", "twin"]


@pytest.mark.parametrize("who", [("croftd",), ("supervisor",), ("croftd", "supervisor")],
                         ids="+".join)
def test_killed_in_the_middle(box, who):
    """It is as before or as it was to be, under one name, and nothing half-made stays."""
    box.tenant()
    box.launch("acme/web")
    box.sh("acme/web", "echo first >/file")

    def during(*command, after):
        box.killed_during(who, after, lambda: box.croft(*command))

    for i in range(4):
        during("copy", "acme/web", f"acme/copy{i}", after=0.003 + 0.004 * i)
        assert box.sh("acme/web", "cat /file") == "first\n"
    for name in wait_until("copies are whole or gone", lambda: [
            n for n in names(box) if n.startswith("copy")] or ["web"]):
        if name != "web" and box.croft("start", f"acme/{name}").rc == 0:
            assert box.sh(f"acme/{name}", "cat /file") == "first\n"
    stop(box)
    name = "web"
    for i in range(4):
        during("rename", f"acme/{name}", f"site{i}", after=0.003 + 0.004 * i)
        now = names(box)
        there = [n for n in (name, f"site{i}") if n in now]
        assert len(there) == 1
        wait_until("it starts under one of them", lambda n=name, s=f"site{i}":
                   any(box.croft("start", f"acme/{x}").rc == 0 for x in (n, s)))
        name = next(n for n in (name, f"site{i}") if n in names(box))
        assert box.sh(f"acme/{name}", "cat /file") == "first\n"
        stop(box, f"acme/{name}")
    during("rebuild", f"acme/{name}", "busybox", after=0.006)
    wait_until("it starts", lambda: box.croft("start", f"acme/{name}").rc == 0)
    assert box.sh(f"acme/{name}", "cat /file 2>/dev/null; test -d /bin && echo ok") in (
        "first\nok\n", "ok\n")
