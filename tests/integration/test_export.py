"""A container as one file: what comes out of it on another host is what went in, a damaged one is
refused whole, and whoever is killed in the middle leaves nothing."""

import json
import os
import stat
import subprocess
import threading
import time

import h2.events
import pytest

from croft_harness import wait_until
from export_file import frame as skipped, seal, zstd
from export_kinds import MIB, describe, fill, left_in_pool, other, pool, stopped  # noqa: F401
from grpc_wire import Raw, frame, message
from hostile_tars import entry, tar


def export(box, path, name="acme/web"):
    box.ok("export", name, str(path), timeout=120)
    return path.read_bytes()


def test_moves_to_another_host(box, other, tmp_path):
    box.tenant()
    box.launch("acme/web")
    box.sh("acme/web", "rm /etc/passwd; rm -r /usr/share 2>/dev/null; mkdir -p /usr/share/mine;"
                       "echo root::0:0::/:/bin/sh >/etc/passwd; echo kept >/file")
    stopped(box)
    names = fill(pool(box, "tenants", "acme", "web", "upper"))
    wanted = {n: describe(pool(box, "tenants", "acme", "web", "upper", "kinds", n)) for n in names}
    file = tmp_path / "web.tar.zst"
    data = export(box, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    # Holes are not in it, and an ordinary tar lists it.
    assert len(data) < 16 * MIB
    listed = subprocess.run(["tar", "--zstd", "-tf", str(file)], capture_output=True, check=True)
    assert b"./kinds/owned\n" in listed.stdout

    image = other.json("image", "import", "moved", str(file), timeout=120)
    assert image["init"] == box.json_lines("image", "list")[0]["init"]
    top = pool(other, "images", "moved", "kinds")
    assert sorted(os.listdir(top)) == names
    for name in names:
        assert describe(os.path.join(top, name)) == wanted[name], name
    one, two = (os.lstat(os.path.join(top, n)) for n in (b"one", b"two"))
    assert one.st_ino == two.st_ino
    assert os.lstat(os.path.join(top, b"sparse")).st_blocks * 512 < MIB
    assert os.lstat(os.path.join(top, b"hole")).st_blocks == 0

    other.tenant()
    other.launch("acme/web", image="moved")
    assert other.sh("acme/web", "cat /file /etc/passwd; ls /usr/share; cat /kinds/owned;"
                                "stat -c '%u %g %a' /kinds/owned /kinds/setuid /kinds") == (
        "kept\nroot::0:0::/:/bin/sh\nmine\nhers1000 65533 640\n0 0 6755\n0 0 1777\n")
    # And from there on again: a file made of an imported one is the same tree.
    again = tmp_path / "again.tar.zst"
    export(other, again)
    box.ok("image", "import", "back", str(again), timeout=120)
    back = pool(box, "images", "back", "kinds")
    for name in names:
        assert describe(os.path.join(back, name)) == wanted[name], name


@pytest.mark.vm
def test_it_goes_on_meanwhile(box, tmp_path):
    box.tenant()
    before = box.launch("acme/web")
    box.sh("acme/web", "echo first >/file")
    export(box, tmp_path / "running")
    after = box.info("acme/web")
    assert after["state"] == "RUNNING" and after["run"]["id"] == before["run"]["id"]
    box.ok("freeze", "acme/web")
    export(box, tmp_path / "frozen")
    assert box.info("acme/web")["state"] == "FROZEN"
    box.ok("thaw", "acme/web")
    exported = [e for e in box.events() if e["type"] == "container.exported"]
    assert len(exported) == 2 and json.loads(
        exported[0]["details_json"])["entries"] > 10
    box.ok("image", "import", "moved", str(tmp_path / "running"))
    box.launch("acme/moved", image="moved")
    assert box.sh("acme/moved", "cat /file") == "first\n"
    assert left_in_pool(box) == []


def test_a_client_that_reads_slowly(box, tmp_path):
    """It holds up nobody but its tenant's other exports, and nothing stays when it leaves."""
    box.tenant()
    box.launch("acme/web")
    box.sh("acme/web", "head -c 60000000 /dev/urandom >/big")
    with box.background("export", "acme/web", "-") as slow:
        # Its first bytes tell that the copy is made.
        assert slow.stdout.read(8) == b"\x5e\x2a\x4d\x18\x10\0\0\0"
        box.refused("export", "acme/web", str(tmp_path / "second"), match="export under way")
        assert not (tmp_path / "second").exists()
        stopped(box)
        box.ok("start", "acme/web")
        box.sh("acme/web", "rm /big")
        stopped(box)
        box.ok("delete", "acme/web")
        assert left_in_pool(box)
    wait_until("nothing of it is left", lambda: left_in_pool(box) == [])
    box.launch("acme/web")
    export(box, tmp_path / "second")


def test_what_is_damaged_is_refused_whole(box, tmp_path):
    box.tenant()
    box.launch("acme/web")
    box.sh("acme/web", "head -c 300000 /dev/urandom >/noise; sync")
    data = export(box, tmp_path / "whole")

    def refused(name, damaged):
        (tmp_path / name).write_bytes(damaged)
        result = box.croft("image", "import", "moved", str(tmp_path / name))
        assert result.rc == 1, (name, result)
        assert box.refused("image", "show", "moved", match="no image")

    for at in (30, 1000, len(data) // 3, len(data) // 2, len(data) - 60, len(data) - 36,
               len(data) - 1):
        refused(f"flipped-{at}", data[:at] + bytes([data[at] ^ 1]) + data[at + 1:])
    for size in (24, 64, len(data) // 2, len(data) - 41, len(data) - 40, len(data) - 1):
        refused(f"cut-{size}", data[:size])
    refused("longer", data + b"\0")
    refused("twice", data + data)
    refused("hole", data[:5000] + data[6000:])
    # Two halves of different exports.
    box.sh("acme/web", "echo other >/file")
    second = export(box, tmp_path / "second")
    refused("mixed", data[:-40] + second[-40:])
    box.ok("image", "import", "moved", str(tmp_path / "whole"))


def test_names_at_its_top_mean_nothing(box, tmp_path):
    """What other tools' images begin with may be in a container as well."""
    box.tenant()
    for name in ("index.json", "blobs", "metadata.yaml", "rootfs", "manifest.json"):
        box.ok("import", "acme/web", "-", stdin=seal(
            skipped(b"croft-export 1\n\0") + zstd(tar(
                entry("./", type=b"5", mode=0o755), entry(f"./{name}", b"{}"),
                entry("./sbin/init", b"#!/bin/sh\n", mode=0o755)))), timeout=60)
        again = export(box, tmp_path / name)
        box.ok("delete", "acme/web")
        box.ok("import", "acme/web", "-", stdin=again, timeout=60)
        assert os.path.exists(pool(box, "tenants", "acme", "web", "upper", name))
        box.ok("delete", "acme/web")


def test_refusals(box, tmp_path):
    box.tenant()
    box.launch("acme/web")
    (tmp_path / "there").write_bytes(b"precious")
    box.refused("export", "acme/web", str(tmp_path / "there"), match="File exists")
    assert (tmp_path / "there").read_bytes() == b"precious"
    box.refused("export", "acme/none", str(tmp_path / "none"), match="no container")
    assert not (tmp_path / "none").exists()
    assert box.croft("export", "acme", str(tmp_path / "none")).rc == 2
    # Deeper than an import would take it.
    box.sh("acme/web", "i=0; while [ $i -lt 600 ]; do i=$((i+1)); mkdir d; cd d; done")
    box.refused("export", "acme/web", str(tmp_path / "deep"), match="too deep")
    assert not (tmp_path / "deep").exists()
    assert left_in_pool(box) == []


@pytest.mark.parametrize("who", [("croftd",), ("supervisor",), ("croftd", "supervisor")],
                         ids="+".join)
def test_killed_in_the_middle(box, who, tmp_path):
    box.tenant()
    box.launch("acme/web")
    box.sh("acme/web", "mkdir /d; i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo $i >/d/$i; done;"
                       "head -c 20000000 /dev/urandom >/d/big")
    for round_ in range(4):
        file = tmp_path / f"file{round_}"
        result = []
        worker = threading.Thread(target=lambda: result.append(
            box.croft("export", "acme/web", str(file), timeout=120)))
        worker.start()
        time.sleep(0.02 + 0.06 * round_)
        for which in who:
            box.kill9(which)
        box.restart(*who)
        worker.join()
        # Whole, or not there.
        assert file.exists() == (result[0].rc == 0), result
        assert box.info("acme/web")["state"] == "RUNNING"
    wait_until("it can be exported", lambda: box.croft(
        "export", "acme/web", str(tmp_path / "last"), timeout=120).rc == 0)
    box.ok("image", "import", "moved", str(tmp_path / "last"))
    assert left_in_pool(box) == []
    stopped(box)
    box.ok("delete", "acme/web")
    assert [n for n in os.listdir(pool(box, "tenants", "acme")) if n.startswith(b"web")] == []


# Seconds without a byte, for croftd of this test alone: many times what a client here pauses.
PAUSE = 5
WIDE = 1 << 30


@pytest.fixture
def impatient(bare_daemon):
    bare_daemon.start("--transfer-timeout", str(PAUSE))
    bare_daemon.busybox()
    return bare_daemon


class Taker(Raw):
    """A client whose connection lives, and which gets no more than it has room for: first the 64
    KiB that HTTP/2 begins with, then what it takes."""

    def __init__(self, box, name):
        super().__init__(box.socket)
        request = message("croft.v1.ExportContainerRequest")(name=f"tenants/{name}")
        self.stream = self.headers({":path": "/croft.v1.Containers/ExportContainer"})
        self.data(self.stream, frame(request.SerializeToString()), end=True)
        self.receive_for(120, lambda: self.size() >= 65535)
        assert self.size() >= 65535

    def size(self):
        return len(self.streams[self.stream]["data"])

    def _event(self, event):
        if isinstance(event, h2.events.DataReceived):
            self.streams[self.stream]["data"] += event.data
        else:
            super()._event(event)

    def take(self, size):
        for stream in (None, self.stream):
            self.h2.increment_flow_control_window(size, stream)
        self.flush()

    def ending(self):
        """How it ends, when all that was sent is read."""
        self.take(WIDE)
        self.receive_for(120, lambda: self.streams[self.stream]["ended"])
        headers = self.streams[self.stream]["headers"]
        return headers.get("grpc-status"), headers.get("grpc-message")


def test_a_client_that_takes_nothing_has_an_end(impatient, tmp_path):
    """Also when the file is made and only its last bytes wait: then nothing but its place among the
    host's exports is held, of which its tenant has one."""
    box = impatient
    for tenant in ("acme", "other"):
        box.tenant(tenant)
        box.launch(f"{tenant}/web")
    box.sh("acme/web", "head -c 40000000 /dev/urandom >/big")
    # The client's 64 KiB, croftd's MiB, and half of a pipe.
    size = len(export(box, tmp_path / "small", "other/web"))
    more = (1 << 20) + (96 << 10) - size
    assert more > 0
    box.sh("other/web", f"head -c {more} /dev/urandom >/more")
    takers = {"acme": Taker(box, "acme/containers/web")}
    box.refused("export", "acme/web", str(tmp_path / "more"), match="export under way")
    takers["other"] = Taker(box, "other/containers/web")
    for tenant, taker in takers.items():
        wait_until("there is room again", lambda t=tenant: box.croft(
            "export", f"{t}/web", str(tmp_path / t), timeout=120).rc == 0, seconds=90)
    for taker in takers.values():
        assert taker.ending() == (
            "4", f"nothing of the export was taken for {PAUSE} seconds")
        taker.close()
    assert left_in_pool(box) == []


def test_a_slow_client_is_not_a_stalled_one(impatient):
    """It takes longer than the pause altogether, and never pauses so long."""
    box = impatient
    box.tenant()
    box.launch("acme/web")
    box.sh("acme/web", "head -c 5000000 /dev/urandom >/big")
    taker = Taker(box, "acme/containers/web")
    began = time.monotonic()
    while time.monotonic() - began < 1.5 * PAUSE:
        wanted = taker.size() + (16 << 10)
        taker.take(16 << 10)
        taker.receive(lambda w=wanted: taker.size() >= w)
        # The pace is the point.
        time.sleep(0.5)
    assert taker.size() < 1 << 20
    assert taker.ending()[0] == "0"
    assert taker.size() > 5000000
    taker.close()
