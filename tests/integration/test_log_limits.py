"""What croftd keeps of containers' output: a limit for each, and one for the tenant."""

import contextlib
import os
import signal
import subprocess
import time

import pytest

from croft_harness import PATIENCE, program, wait_until

KIB = 1 << 10
MIB = 1 << 20


def kept(box, name=None):
    """Bytes of the files that hold it, of one container or of all."""
    uid = box.info(name)["uid"] if name else ""
    folder = f"{box.state}/server/logs"
    sizes = []
    for entry in os.listdir(folder):
        if entry.startswith(uid):
            try:
                sizes.append(os.path.getsize(f"{folder}/{entry}"))
            except FileNotFoundError:
                pass
    return sum(sizes)


def write(box, name, size, last="the end"):
    """Has a container write so much, and a last line."""
    box.sh(name, f"yes abcdefg | head -c {size} >/proc/1/fd/1; echo {last} >/proc/1/fd/1",
           timeout=120)
    wait_until("it has been read", lambda: box.ok(
        "logs", name, "--tail", "1K").endswith(last + "\n"), 60)


def shown(box, name):
    return int(box.info(name).get("log_used_bytes", 0))


def of_tenant(box, name="acme"):
    return int(box.json("tenant", "show", name).get("log_used_bytes", 0))


class TestContainer:
    def test_the_newest_is_kept_within_its_limit(self, box):
        box.tenant()
        for name, options, limit in (("web", (), 2 * MIB),
                                     ("little", ("--log-size", "256K"), 256 * KIB)):
            box.launch(f"acme/{name}", options=options)
            write(box, f"acme/{name}", 3 * MIB)
            assert limit // 2 < kept(box, f"acme/{name}") <= limit
            assert shown(box, f"acme/{name}") == kept(box, f"acme/{name}")
        assert of_tenant(box) == kept(box)
        box.ok("delete", "--force", "acme/web")
        wait_until("its files are gone", lambda: of_tenant(box) == kept(box) <= 256 * KIB)

    def test_it_changes_live(self, box):
        box.tenant()
        box.launch("acme/web", options=("--log-size", "4M"))
        write(box, "acme/web", 3 * MIB)
        assert kept(box, "acme/web") > 2 * MIB
        box.ok("set", "acme/web", "--log-size", "1M")
        wait_until("it holds", lambda: kept(box, "acme/web") <= MIB)
        assert "limits.log_bytes" in str(box.events()[-1])
        write(box, "acme/web", 3 * MIB, "after")
        assert MIB // 2 < kept(box, "acme/web") <= MIB
        wait_until("it is shown", lambda: shown(box, "acme/web") == kept(box, "acme/web"))

    @pytest.mark.parametrize("size, why", [("1K", "outside"), ("2G", "outside"),
                                           ("64M", "above the tenant's 32 MiB")])
    def test_what_is_refused(self, box, size, why):
        box.tenant()
        result = box.croft("launch", "busybox", "acme/web", "--log-size", size)
        assert result.rc != 0 and why in result.err, result

    def test_whoever_follows_sees_all_that_comes(self, box):
        """Its file is taken away under it; nothing comes twice."""
        box.tenant()
        box.launch("acme/web", options=("--log-size", "4M"))
        write(box, "acme/web", MIB, "before")
        with subprocess.Popen([program("croft"), "--host", box.host, "logs", "-f", "acme/web"],
                              stdout=subprocess.PIPE) as follower:
            try:
                while b"before" not in follower.stdout.readline():
                    pass
                box.ok("set", "acme/web", "--log-size", "256K")
                wait_until("it is gone", lambda: kept(box, "acme/web") <= 256 * KIB)
                box.sh("acme/web", "echo one >/proc/1/fd/1")
                assert follower.stdout.readline() == b"one\n"
                box.sh("acme/web", "echo two >/proc/1/fd/1")
                assert follower.stdout.readline() == b"two\n"
            finally:
                follower.kill()


@contextlib.contextmanager
def following(box, name="acme/web"):
    with subprocess.Popen([program("croft"), "--host", box.host, "logs", "-f", name],
                          stdout=subprocess.PIPE, text=True) as follower:
        try:
            yield follower
        finally:
            follower.kill()


class TestFollowing:
    """It ends with exit 0 when nothing more can come, and no sooner."""

    def launch(self, box, script, *options):
        box.tenant()
        box.launch("acme/web", options=options, init=["/bin/sh", "-c", script])

    def test_one_that_does_not_run_has_no_more(self, box):
        self.launch(box, "echo done")
        box.wait_state("acme/web", "STOPPED")
        assert box.ok("logs", "-f", "acme/web") == "done\n"
        box.ok("create", "busybox", "acme/never")
        assert box.ok("logs", "-f", "acme/never") == ""

    def test_last_words_are_seen(self, box):
        self.launch(box, "trap 'head -c 100000 /dev/zero | tr \\\\0 x; echo; echo bye; exit' TERM; "
                    "echo up; while :; do usleep 20000; done")
        with following(box) as follower:
            assert follower.stdout.readline() == "up\n"
            box.ok("stop", "acme/web")
            assert follower.communicate(timeout=10 * PATIENCE)[0].endswith("xxx\nbye\n")
            assert follower.returncode == 0

    def test_another_run_is_waited_for(self, box):
        self.launch(box, "trap 'exec reboot -f' USR1; echo up; while :; do usleep 20000; done")
        with following(box) as follower:
            assert follower.stdout.readline() == "up\n"
            os.kill(box.init_pid("acme/web"), signal.SIGUSR1)
            assert follower.stdout.readline() == "up\n"
            box.ok("restart", "--timeout", "0", "acme/web")
            assert follower.stdout.readline() == "up\n"
            box.ok("kill", "acme/web")
            assert follower.wait(10 * PATIENCE) == 0

    def test_a_restart_that_is_due_is_waited_for(self, box):
        self.launch(box, "echo up; exit 1", "--restart", "always")
        with following(box) as follower:
            for _ in range(2):
                assert follower.stdout.readline() == "up\n"
            box.croft("stop", "acme/web")
            assert follower.wait(10 * PATIENCE) == 0


class TestTenant:
    def flood(self, box, names):
        for name in names:
            box.launch(f"acme/{name}")
            write(box, f"acme/{name}", 5 * MIB // 4)

    def test_all_of_it_is_bounded(self, box):
        """Whatever the number of containers; with the control that they would keep more."""
        names = ["a", "b", "c", "d"]
        box.tenant(log_size="32M")
        self.flood(box, names)
        assert kept(box) > 4 * MIB
        box.ok("tenant", "set", "acme", "--log-size", "1M")
        wait_until("it is bounded", lambda: kept(box) <= MIB)
        for name in names:
            write(box, f"acme/{name}", 5 * MIB // 4, "again")
            assert kept(box) <= MIB
        assert of_tenant(box) == kept(box)
        for name in names:
            assert "again" in box.ok("logs", f"acme/{name}")

    def test_a_stopped_one_gives_way(self, box):
        box.tenant(log_size="1M")
        box.launch("acme/old")
        write(box, "acme/old", 2 * MIB)
        assert kept(box, "acme/old") > MIB // 2
        box.ok("kill", "acme/old")
        self.flood(box, ["b", "c"])
        wait_until("all is within", lambda: kept(box) <= MIB)

    def test_a_plan_gives_it(self, box):
        box.ok("plan", "create", "tiny", "--log-size", "512K", "--memory", "128M")
        box.ok("tenant", "create", "acme", "--plan", "tiny")
        box.launch("acme/web")
        write(box, "acme/web", 2 * MIB)
        assert kept(box) <= 512 * KIB
        assert box.json("plan", "show", "tiny")["limits"]["log_bytes"] == 512 * KIB

    def test_it_is_counted_again_after_a_restart(self, box):
        box.tenant()
        box.launch("acme/web", options=("--log-size", "1M"))
        write(box, "acme/web", 2 * MIB)
        before = of_tenant(box)
        box.kill9("croftd")
        box.restart("croftd")
        assert of_tenant(box) == shown(box, "acme/web") == before
        box.sh("acme/web", "echo more >/proc/1/fd/1")
        wait_until("it is counted", lambda: of_tenant(box) == before + 5 == kept(box))
