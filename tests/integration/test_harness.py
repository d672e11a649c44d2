"""The harness itself: its pure parts, and that its leak check sees each kind of leak."""

import os
import struct
import subprocess
import time

import pytest

import api
import kernel
import leaks
from croft_harness import (
    PATIENCE, Daemon, Reaper, Result, check_sentence, from_json, limit_flags, percentile,
    wait_until,
)

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def test_limit_flags():
    assert limit_flags({"cpu": "0.5", "cpu_weight": 10}) == ["--cpu", "0.5", "--cpu-weight", "10"]


def test_json_is_as_in_the_proto_files():
    text = '{"hostPid": 7, "cpuUsec": "12", "run": {"idBase": 1}, "x": ["1", "a1"]}'
    assert from_json(text) == {
        "host_pid": 7, "cpu_usec": 12, "run": {"id_base": 1}, "x": [1, "a1"],
    }


def test_percentile():
    assert percentile([5, 1, 4, 2, 3], 50) == 3
    assert percentile(range(1, 101), 99) == 99
    assert percentile([7], 99) == 7


def test_sentences():
    check_sentence('croft: there is no tenant "x"\n', "/tmp/base")
    for bad in ("", "\n", "one\ntwo\n", "open /tmp/base/state: no", "write /proc/1/x", "a\x1b[1m"):
        with pytest.raises(AssertionError):
            check_sentence(bad, "/tmp/base")


def test_wait_until_gives_up():
    with pytest.raises(AssertionError, match="never"):
        wait_until("never", lambda: False, seconds=0.05)
    assert wait_until("at once", lambda: 42) == 42


def test_result_is_readable():
    assert "status 3" in str(Result(3, "out", "err"))


def test_held_ranges(tmp_path):
    table = tmp_path / "ranges"
    mine, other = bytes(range(16)), bytes(range(16, 32))
    header = struct.pack("<8sIIII8x", b"CROFTIDS", 1, 0x70000000, 65536, 4)
    table.write_bytes(header + mine + other + bytes(16) + mine)
    assert leaks.held_ranges(mine.hex(), str(table)) == 2
    assert leaks.held_ranges(other.hex(), str(table)) == 1
    assert leaks.held_ranges("ff" * 16, str(table)) == 0
    assert leaks.held_ranges(mine.hex(), str(tmp_path / "absent")) == 0


def test_schema_knows_every_service(schema):
    methods = set(schema.methods())
    assert "croft.v1.Tenants/CreateTenant" in methods
    path, request, reply, client, server = schema.method("Containers/Exec")
    assert path == "/croft.v1.Containers/Exec"
    assert client and server
    assert request.DESCRIPTOR.full_name == "croft.v1.ExecRequest"
    assert schema.method("Usage/ExportUsage")[3:] == (False, True)


def test_error_details_decode():
    status = api.RPC["Status"](code=8, message="full")
    info = api.RPC["ErrorInfo"](reason="TENANT_FULL", domain="croft")
    status.details.add().Pack(info)

    class Error:
        def trailing_metadata(self):
            return (("grpc-status-details-bin", status.SerializeToString()),)

    assert api.error_reason(Error()) == "TENANT_FULL"


def test_hierarchies_are_found():
    found = kernel.hierarchies()
    assert kernel.driver() in ("unified", "hybrid")
    assert all(os.path.isdir(path) for path in found.values())


def test_descendants():
    child = subprocess.Popen(["sh", "-c", "sleep 100 & wait"], start_new_session=True)
    try:
        below = wait_until("two processes", lambda: kernel.descendants(os.getpid()) >= {
            child.pid} and len(kernel.descendants(child.pid)) == 1)
        assert below
    finally:
        os.killpg(child.pid, 9)
        child.wait()


def test_reaper_inherits_and_reaps():
    reaper = Reaper()
    try:
        pid = reaper.start(["/bin/sh", "-c", "sleep 100 & sleep 100 & exit 3"], "/dev/null")
        wait_until("the shell has ended", lambda: reaper.status(pid) == "exited 3")
        # One look at a whole /proc is no moment: a process may change its parent meanwhile.
        wait_until("both are its own", lambda: len(kernel.descendants(reaper.pid)) == 2)
        assert reaper.status(1) == "running"
    finally:
        left = kernel.descendants(reaper.pid)
        reaper.finish()
    wait_until("they are gone", lambda: not any(kernel.is_alive(p) for p in left))


def test_reaper_says_what_it_cannot_run():
    reaper = Reaper()
    try:
        with pytest.raises(AssertionError, match="/nonexistent"):
            reaper.start(["/nonexistent"], "/dev/null")
    finally:
        reaper.finish()


@needs_root
class TestLeakCheck:
    """A leak check that cannot fail checks nothing."""

    @pytest.fixture
    def instance(self):
        daemon = Daemon()
        os.makedirs(daemon.run)
        os.makedirs(daemon.state)
        yield daemon
        base = daemon.base
        daemon.finish()
        assert not os.path.exists(base)
        assert not kernel.cgroup_directories(daemon.parent)
        assert not kernel.mounts_with(base)
        assert not kernel.loops_of(base)

    def left(self, daemon):
        return leaks.Holdings.look(daemon) - leaks.NOTHING

    def test_nothing(self, instance):
        assert self.left(instance) == []

    def test_cgroup(self, instance):
        root = sorted(set(kernel.hierarchies().values()))[0]
        os.makedirs(f"{root}/{instance.parent}/acme")
        assert len(self.left(instance)) == 2

    def test_mount(self, instance):
        os.mkdir(f"{instance.state}/m")
        subprocess.run(["mount", "-t", "tmpfs", "x", f"{instance.state}/m"], check=True)
        assert [x for x in self.left(instance) if x.startswith("mount of tmpfs")]

    def test_mount_in_another_namespace(self, instance):
        os.mkdir(f"{instance.state}/m")
        pid = instance.reaper.start(
            ["/usr/bin/unshare", "-m", "sh", "-c",
             f"mount -t tmpfs x {instance.state}/m && exec sleep 100"], "/dev/null",
        )
        wait_until("the mount is seen", lambda: [
            x for x in self.left(instance) if x.startswith("mount of tmpfs")])
        os.kill(pid, 9)

    def test_somebody_elses_copy_of_a_mount_is_not_left(self, instance):
        """Who starts a namespace while it is mounted has it, also when it is long gone here."""
        path = f"{instance.state}/m"
        os.mkdir(path)
        subprocess.run(["mount", "-t", "tmpfs", "x", path], check=True)
        with subprocess.Popen(["/usr/bin/unshare", "-m", "sh", "-c", "echo; exec sleep 100"],
                              stdout=subprocess.PIPE) as other:
            other.stdout.readline()
            subprocess.run(["umount", path], check=True)
            left = self.left(instance)
            other.kill()
        assert left == []

    def test_loop(self, instance):
        path = f"{instance.state}/disk"
        with open(path, "wb") as f:
            f.truncate(1 << 20)
        subprocess.run(["losetup", "-f", path], check=True)
        assert [x for x in self.left(instance) if x.startswith("loop device")]
        os.unlink(path)
        assert [x for x in self.left(instance) if x.startswith("loop device")]

    def test_process(self, instance):
        instance.reaper.start(["/bin/sh", "-c", "setsid sleep 100 & exit 0"], "/dev/null")
        found = wait_until("the orphan is seen", lambda: [
            x for x in self.left(instance) if "sleep 100" in x])
        assert found[0].startswith("process ")

    def test_file(self, instance):
        with open(f"{instance.run}/left.sock", "w", encoding="ascii"):
            pass
        assert self.left(instance) == ["file left.sock in the run directory"]

    def test_waiting_gives_up_in_time(self, instance):
        os.mkdir(f"{instance.run}/left")
        start = time.monotonic()
        assert leaks.wait_for_no_more_than(instance, leaks.NOTHING, 0.2)
        assert time.monotonic() - start < 5 * PATIENCE
