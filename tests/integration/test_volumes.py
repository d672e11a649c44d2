"""Volumes: directories that outlive containers, shared by those of a tenant, held to their limits;
also when whoever makes, attaches or removes them is killed in the middle."""

import os

import grpc
import pytest

import kernel
from croft_harness import wait_until

MIB = 1 << 20
FILL = "dd if=/dev/zero of={} bs=1M count={} conv=fsync 2>&1"


def stop(daemon, name="acme/web"):
    daemon.ok("kill", name)
    daemon.wait_state(name, "STOPPED")


def volumes(daemon, tenant="acme"):
    return [v["name"].rpartition("/")[2] for v in daemon.json_lines("volume", "list", tenant)]


def mounts(daemon, name="acme/web"):
    return [(m.get("volume", "").rpartition("/")[2] or "host:" + m["host_directory"], m["path"])
            for m in daemon.info(name).get("mounts", [])]


def with_volume(daemon, *containers, size=None, disk=None, path="/data"):
    """Containers of acme that run, with the volume acme/data at one path."""
    daemon.tenant(**({"disk": disk} if disk else {}))
    daemon.ok("volume", "create", "acme/data", *(("--size", size) if size else ()))
    for name in containers:
        daemon.ok("create", "busybox", f"acme/{name}")
        daemon.ok("volume", "attach", "acme/data", f"acme/{name}:{path}")
        daemon.ok("start", f"acme/{name}")


def in_pool(daemon, tenant="acme"):
    """The volumes that the pool has, as the supervisor sees it."""
    root = f"/proc/{daemon.pid('supervisor')}/root{daemon.state}/pool/tenants/{tenant}"
    return sorted(n for n in os.listdir(root) if n.endswith(".volume"))


@pytest.mark.vm
def test_the_whole_story(box):
    box.tenant()
    made = box.json("volume", "create", "acme/data", "--size", "64MiB")
    assert made["name"] == "tenants/acme/volumes/data" and made["size_bytes"] == 64 * MIB
    assert made["size_enforced"]
    for name in ("web", "twin"):
        box.ok("create", "busybox", f"acme/{name}")
    assert box.json("volume", "attach", "acme/data", "acme/web:/srv/data")["mounts"] == [
        {"volume": "tenants/acme/volumes/data", "path": "/srv/data"}]
    box.ok("volume", "attach", "acme/data", "acme/twin:/data", "--read-only")
    for name in ("acme/web", "acme/twin"):
        box.ok("start", name)
    # Their ids differ; owners in the volume do not.
    assert box.info("acme/web")["run"]["id_base"] != box.info("acme/twin")["run"]["id_base"]
    box.sh("acme/web", "echo first >/srv/data/file; chown 5:6 /srv/data/file; id -u >/dev/null;"
                       "ln /srv/data/file /srv/data/link; chmod 4755 /srv/data/link")
    assert box.sh("acme/twin", "stat -c '%u %g %a %h' /data/link; cat /data/file") == (
        "5 6 4755 2\nfirst\n")
    refused = box.exec("acme/twin", "/bin/sh", "-c", "echo x >/data/file")
    assert refused.rc != 0 and "Read-only" in refused.err
    # It outlives an image and a container.
    stop(box)
    box.ok("rebuild", "acme/web", "busybox")
    box.ok("start", "acme/web")
    assert box.sh("acme/web", "cat /srv/data/file") == "first\n"
    assert sorted(box.json("volume", "show", "acme/data")["containers"]) == [
        "tenants/acme/containers/twin", "tenants/acme/containers/web"]
    box.refused("volume", "delete", "acme/data", match="twin has volume data; detach it first")
    for name in ("acme/web", "acme/twin"):
        box.ok("delete", "--force", name)
    box.launch("acme/next")
    stop(box, "acme/next")
    box.ok("volume", "attach", "acme/data", "acme/next:/d")
    box.ok("start", "acme/next")
    assert box.sh("acme/next", "cat /d/link") == "first\n"
    stop(box, "acme/next")
    box.ok("volume", "detach", "acme/data", "acme/next")
    assert mounts(box, "acme/next") == []
    box.ok("start", "acme/next")
    assert box.sh("acme/next", "ls /d") == ""
    box.ok("volume", "delete", "acme/data")
    assert volumes(box) == [] and in_pool(box) == []
    types = [e["type"] for e in box.events() if e["type"].startswith("volume.")]
    assert types == ["volume.created", "volume.attached", "volume.attached", "volume.attached",
                     "volume.detached", "volume.deleted"]


def test_it_is_held_to_its_size(box):
    with_volume(box, "web", size="32MiB")
    assert "quota" in box.sh("acme/web", FILL.format("/data/big", 64) + "; true").lower()
    # Its container has room, and its tenant.
    assert "64+0" in box.sh("acme/web", FILL.format("/big", 64))
    wait_until("it is measured", lambda:
               24 * MIB < box.json("volume", "show", "acme/data").get("used_bytes", 0) <= 33 * MIB,
               seconds=60)
    # Live, both ways; below what is in use only when forced.
    box.ok("volume", "set", "acme/data", "--size", "96MiB")
    assert "64+0" in box.sh("acme/web", FILL.format("/data/big", 64))
    box.refused("volume", "set", "acme/data", "--size", "16MiB", match="in use")
    box.ok("volume", "set", "acme/data", "--size", "16MiB", "--force")
    assert "quota" in box.sh("acme/web", FILL.format("/data/more", 8) + "; true").lower()
    assert box.json("volume", "set", "acme/data", "--size", "none").get("size_bytes", 0) == 0
    assert "8+0" in box.sh("acme/web", FILL.format("/data/more", 8))
    changed = [e["message"] for e in box.events() if e["type"] == "volume.updated"]
    assert len(changed) == 3 and "96 MiB instead of 32 MiB" in changed[0]


def test_it_counts_to_its_tenant(box):
    with_volume(box, "web", disk="96MiB")
    box.ok("volume", "create", "acme/two", "--size", "80MiB")
    assert "64+0" in box.sh("acme/web", FILL.format("/data/big", 64))
    assert "quota" in box.sh("acme/web", FILL.format("/big", 64) + "; true").lower()
    # What a container that is gone had written in it still counts.
    box.ok("delete", "--force", "acme/web")
    wait_until("its own room is free", lambda: box.croft(
        "launch", "busybox", "acme/other").rc == 0, seconds=60, interval=0.5)
    assert "quota" in box.sh("acme/other", FILL.format("/big", 64) + "; true").lower()
    box.refused("volume", "create", "acme/three", match="disk is full")
    assert in_pool(box) == ["data.volume", "two.volume"]
    # Nobody may have more than the tenant, and the tenant not less than what it gave.
    box.refused("volume", "create", "acme/three", "--size", "100MiB", match="disk")
    box.refused("tenant", "set", "acme", "--disk", "70MiB",
                match="volume acme/two stands in the way")
    box.refused("volume", "set", "acme/two", "--size", "97MiB", match="disk")
    # A full tenant's volumes can still be removed.
    box.ok("delete", "--force", "acme/other")
    box.ok("volume", "delete", "acme/data")
    wait_until("its room is free", lambda: box.croft(
        "launch", "busybox", "acme/last").rc == 0, seconds=60, interval=0.5)
    wait_until("so is the volume's", lambda: "64+0" in box.sh(
        "acme/last", FILL.format("/big", 64) + "; true"), seconds=60, interval=0.5)


def test_what_containers_keep(box):
    """Through a rename, a restore and a copy; a copy has the same volume."""
    with_volume(box, "web")
    box.sh("acme/web", "echo here >/data/file")
    box.ok("snapshot", "create", "acme/web", "before")
    box.ok("copy", "acme/web", "acme/copy")
    assert mounts(box, "acme/copy") == [("data", "/data")]
    box.ok("start", "acme/copy")
    box.sh("acme/copy", "cat /data/file; echo there >/data/file")
    assert box.sh("acme/web", "cat /data/file") == "there\n"
    stop(box)
    box.ok("rename", "acme/web", "other")
    box.ok("snapshot", "restore", "acme/other", "before")
    assert mounts(box, "acme/other") == [("data", "/data")]
    box.ok("start", "acme/other")
    # A snapshot is of the container, not of what is mounted in it.
    assert box.sh("acme/other", "cat /data/file") == "there\n"
    assert box.json("volume", "show", "acme/data")["containers"] == [
        "tenants/acme/containers/copy", "tenants/acme/containers/other"]


def test_what_cannot_be_is_refused(box):
    box.tenant()
    box.tenant("other")
    box.ok("volume", "create", "acme/data")
    box.ok("volume", "create", "acme/two")
    box.ok("volume", "create", "other/data")
    box.refused("volume", "create", "acme/data", match="already")
    for words in (("create", "acme/Data"), ("create", "acme/none", "--size", "much"),
                  ("attach", "acme/data", "acme/web"), ("set", "acme/data")):
        assert box.croft("volume", *words).rc == 2, words
    box.refused("volume", "create", "nobody/data", match="no tenant")
    box.refused("volume", "show", "acme/none", match="no volume none")
    box.ok("create", "busybox", "acme/web")
    box.ok("create", "busybox", "other/web")
    for path in ("srv", "/", "//srv", "/srv/", "/srv//x", "/srv/../etc", "/./srv", "", "/a\nb",
                 "/" + "x" * 130):
        box.refused("volume", "attach", "acme/data", f"acme/web:{path}", match="place to mount on")
    for path in ("/proc", "/proc/sys", "/sys", "/sys/fs/cgroup", "/dev", "/dev/shm"):
        box.refused("volume", "attach", "acme/data", f"acme/web:{path}", match="container's own")
    box.refused("volume", "attach", "acme/data", "other/web:/data", match="own tenant alone")
    box.refused("volume", "attach", "acme/none", "acme/web:/data", match="no volume none")
    box.refused("volume", "attach", "acme/data", "acme/none:/data", match="no container")
    box.ok("volume", "attach", "acme/data", "acme/web:/srv/data")
    box.refused("volume", "attach", "acme/data", "acme/web:/elsewhere", match="already")
    for path in ("/srv", "/srv/data", "/srv/data/in"):
        box.refused("volume", "attach", "acme/two", f"acme/web:{path}", match="another path")
    box.ok("volume", "attach", "acme/two", "acme/web:/srv/data2")
    assert mounts(box) == [("data", "/srv/data"), ("two", "/srv/data2")]
    box.refused("volume", "detach", "acme/data", "acme/none", match="no container")
    box.ok("start", "acme/web")
    box.refused("volume", "detach", "acme/data", "acme/web", match="stop it first")
    box.refused("tenant", "delete", "acme", match="1 container")
    box.ok("delete", "--force", "acme/web")
    box.refused("tenant", "delete", "acme", match="2 volumes; delete them first")
    box.ok("tenant", "delete", "--force", "acme")
    assert volumes(box, "other") == ["data"]


def test_how_many_there_may_be(box):
    box.tenant()
    box.ok("create", "busybox", "acme/web")
    with box.api() as api:
        for i in range(64):
            api.call("Volumes/CreateVolume", {"parent": "tenants/acme", "volume_id": f"v{i}"})
        page = api.call("Volumes/ListVolumes", {"parent": "tenants/acme", "page_size": 50})
        assert len(page["volumes"]) == 50
        page = api.call("Volumes/ListVolumes", {
            "parent": "tenants/acme", "page_size": 50, "page_token": page["next_page_token"]})
        assert len(page["volumes"]) == 14 and not page.get("next_page_token")
        for i in range(8):
            api.call("Volumes/AttachVolume", {
                "name": f"tenants/acme/volumes/v{i}", "path": f"/v/{i}",
                "container": "tenants/acme/containers/web"})
    box.refused("volume", "create", "acme/more", match="64 volumes")
    box.refused("volume", "attach", "acme/v9", "acme/web:/v/9", match="8 mounts")
    box.ok("start", "acme/web")
    box.sh("acme/web", "for i in 0 1 2 3 4 5 6 7; do echo $i >/v/$i/file; done")
    assert sum(point.startswith("/v/") for point, *_ in kernel.mounts(
        box.init_pid("acme/web"))) == 8


def test_a_request_sent_again_is_not_carried_out_again(box):
    box.tenant()
    box.ok("create", "busybox", "acme/web")
    name = "tenants/acme/volumes/data"
    with box.api() as api:
        for method, request in (
            ("CreateVolume", {"parent": "tenants/acme", "volume_id": "data"}),
            ("UpdateVolume", {"volume": {"name": name, "size_bytes": 50 * MIB},
                              "update_mask": "sizeBytes"}),
            ("AttachVolume", {"name": name, "container": "tenants/acme/containers/web",
                              "path": "/data"}),
            ("DetachVolume", {"name": name, "container": "tenants/acme/containers/web"}),
            ("DeleteVolume", {"name": name}),
        ):
            request["request_id"] = method
            first = api.call(f"Volumes/{method}", request)
            assert api.call(f"Volumes/{method}", request) == first, method
        for mask in ("", "name", "sizeBytes,name"):
            with pytest.raises(grpc.RpcError, match="size_bytes"):
                api.call("Volumes/UpdateVolume", {"volume": {"name": name}, "update_mask": mask})
    types = [e["type"] for e in box.events() if e["type"].startswith("volume.")]
    assert types == ["volume.created", "volume.updated", "volume.attached", "volume.detached",
                     "volume.deleted"]


def test_its_own_tenant_alone_has_to_do_with_it(box):
    with_volume(box, "web")
    box.tenant("other")
    box.ok("tenant", "bind", "acme", "4243")
    box.ok("tenant", "bind", "other", "4242")
    for command in (("show", "acme/data"), ("delete", "acme/data"), ("list", "acme"),
                    ("set", "acme/data", "--size", "1GiB"), ("create", "acme/more")):
        box.refused("volume", *command, uid=4242, match="no tenant acme")
    box.ok("volume", "create", "other/mine", uid=4242)
    for there in ("acme/web", "nobody/web", "acme/none"):
        box.refused("volume", "attach", "other/mine", f"{there}:/x", uid=4242,
                    match="own tenant alone")
    assert box.croft("volume", "list", uid=4242).out.count("mine") == 1
    assert "data" not in box.croft("volume", "list", uid=4242).out
    box.ok("volume", "create", "acme/more", uid=4243)
    assert volumes(box) == ["data", "more"]


def test_both_daemons_restarted(box):
    with_volume(box, "web", size="32MiB")
    box.sh("acme/web", "echo here >/data/file")
    box.terminate("croftd")
    box.terminate("supervisor")
    box.restart("croftd", "supervisor")
    assert box.sh("acme/web", "cat /data/file") == "here\n"
    assert mounts(box) == [("data", "/data")]
    stop(box)
    box.ok("start", "acme/web")
    assert box.sh("acme/web", "cat /data/file") == "here\n"
    assert "quota" in box.sh("acme/web", FILL.format("/data/big", 64) + "; true").lower()


@pytest.mark.parametrize("who", [("croftd",), ("supervisor",), ("croftd", "supervisor")],
                         ids="+".join)
def test_killed_in_the_middle(box, who):
    """Whatever was answered holds; whatever was not is whole or not there; nothing is left."""
    with_volume(box, "web")
    box.sh("acme/web", "echo here >/data/file")
    box.ok("create", "busybox", "acme/idle")

    def during(commands, after):
        return box.killed_during(who, after, lambda: [box.croft(*c).rc == 0 for c in commands])

    for round_ in range(4):
        name = f"acme/v{round_}"
        after = 0.005 + 0.015 * round_
        made, attached = during((("volume", "create", name, "--size", "20MiB"),
                                 ("volume", "attach", name, f"acme/idle:/v{round_}")), after)
        wait_until("the volumes are what is told", lambda: in_pool(box) == [
            f"{v}.volume" for v in volumes(box)])
        assert f"v{round_}" in volumes(box) or not made
        if attached:
            assert (f"v{round_}", f"/v{round_}") in mounts(box, "acme/idle")
        assert box.sh("acme/web", "cat /data/file") == "here\n"
    wait_until("it starts with them", lambda: box.croft("start", "acme/idle").rc == 0)
    stop(box, "acme/idle")
    for name in [v for v in volumes(box) if v != "data"]:
        during((("volume", "detach", f"acme/{name}", "acme/idle"),
                ("volume", "delete", f"acme/{name}")), 0.02)
        wait_until("it can be removed", lambda n=name: (
            box.croft("volume", "detach", f"acme/{n}", "acme/idle").rc >= 0 and
            box.croft("volume", "delete", f"acme/{n}").rc >= 0 and n not in volumes(box)))
    wait_until("the pool has no more", lambda: in_pool(box) == ["data.volume"])
    assert box.sh("acme/web", "cat /data/file") == "here\n"


def test_a_pool_without_limits(bare_daemon):
    """As with a container's disk: what cannot be held is refused, in words."""
    bare_daemon.start("--pool-driver", "plain")
    bare_daemon.busybox()
    bare_daemon.tenant()
    bare_daemon.refused("volume", "create", "acme/data", "--size", "1GiB",
                        match="plain file system")
    assert volumes(bare_daemon) == []
    bare_daemon.ok("volume", "create", "acme/data")
    bare_daemon.refused("volume", "set", "acme/data", "--size", "1GiB", match="plain file system")
    bare_daemon.ok("create", "busybox", "acme/web")
    bare_daemon.ok("volume", "attach", "acme/data", "acme/web:/data")
    bare_daemon.ok("start", "acme/web")
    bare_daemon.sh("acme/web", "echo x >/data/x; chown 7:8 /data/x; ls -ln /data")
    shown = bare_daemon.json("volume", "show", "acme/data")
    assert not shown.get("size_enforced") and not shown.get("size_bytes")
    bare_daemon.ok("delete", "--force", "acme/web")
    bare_daemon.ok("volume", "delete", "acme/data")
    assert in_pool(bare_daemon) == []
