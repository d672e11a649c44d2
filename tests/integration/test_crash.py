"""kill -9 of croftd, of the supervisor, and of both, while containers run, start and end: they run
on, are found again, work as before, and every microsecond is on the bill."""

import contextlib
import os
import signal
import subprocess
import threading

import grpc
import pytest

import kernel
from croft_harness import PATIENCE, wait_until

VICTIMS = [
    ("croftd",), ("supervisor",),
    # Under emulation the last says it all.
    pytest.param(("croftd", "supervisor"), marks=pytest.mark.vm),
]
victims = pytest.mark.parametrize("who", VICTIMS, ids="+".join)


def crash(daemon, who):
    for name in who:
        daemon.kill9(name)


def check_works(daemon, name):
    """exec, limits, usage, stop: as if nothing had happened."""
    result = daemon.exec(name, "/bin/sh", "-c", "echo alive; exit 4")
    assert (result.rc, result.out) == (4, "alive\n"), result
    daemon.ok("set", name, "--pids", "77")
    assert daemon.cgroup(name).pids_max() == 77
    assert "pids" in daemon.usage(name)


def check_bill(daemon, name, at_least):
    """After its end: what is billed is what the kernel counted, never less than was seen."""
    usage = daemon.usage(name)
    assert usage["cpu_usec"] >= at_least
    return usage["cpu_usec"]


@victims
class TestRunning:
    def test_runs_on(self, box, who):
        box.tenant()
        before = box.launch("acme/web", pids=50, memory="64M")
        box.sh("acme/web", "echo kept >/kept")
        crash(box, who)
        assert kernel.is_alive(before["run"]["host_pid"])
        box.restart(*who)
        after = box.info("acme/web")
        assert after["state"] == "RUNNING"
        assert after["run"]["id"] == before["run"]["id"]
        assert after["run"]["host_pid"] == before["run"]["host_pid"]
        assert after["run"]["id_base"] == before["run"]["id_base"]
        assert box.cgroup("acme/web").pids_max() == 50
        assert box.sh("acme/web", "cat /kept") == "kept\n"
        check_works(box, "acme/web")
        box.ok("stop", "acme/web")
        # An init that was adopted is nobody's child: where the kernel does not tell how it ended,
        # the host's pid 1 may have reaped it before anybody could look.
        if "supervisor" not in who or kernel.tells_exits():
            assert box.info("acme/web")["run"]["exit"]["kind"] != "UNKNOWN"
        box.ok("start", "acme/web")
        assert box.sh("acme/web", "cat /kept") == "kept\n"

    def test_bill_is_what_the_kernel_counted(self, box, who):
        box.tenant(cpu="1")
        box.launch("acme/web")
        box.put_probe("acme/web")
        cgroup = box.cgroup("acme/web")
        box.sh("acme/web", "/probe burn 1 1000 >/dev/null 2>&1 &")
        wait_until("it burns", lambda: cgroup.cpu_usec() > 500_000)
        crash(box, who)
        wait_until("it burns on", lambda: cgroup.cpu_usec() > 1_000_000, 30)
        box.restart(*who)
        box.ok("freeze", "acme/web")
        counted = cgroup.cpu_usec()
        wait_until("the sweep has seen it",
                   lambda: box.usage("acme/web")["cpu_usec"] >= counted)
        assert box.usage("acme/web")["cpu_usec"] == cgroup.cpu_usec()
        box.ok("thaw", "acme/web")
        box.ok("kill", "acme/web")
        box.wait_state("acme/web", "STOPPED")
        total = check_bill(box, "acme/web", counted)
        assert box.usage("acme")["cpu_usec"] >= total

    def test_again_and_again(self, box, who):
        box.tenant()
        before = box.launch("acme/web")["run"]
        for _ in range(3):
            crash(box, who)
            box.restart(*who)
            assert box.info("acme/web")["run"]["id"] == before["id"]
        check_works(box, "acme/web")

    def test_frozen_stays_frozen(self, box, who):
        box.tenant()
        box.launch("acme/web")
        box.ok("freeze", "acme/web")
        crash(box, who)
        box.restart(*who)
        assert box.info("acme/web")["state"] == "FROZEN"
        box.ok("thaw", "acme/web")
        check_works(box, "acme/web")

    def test_oom_group_that_was_set_live_is_kept(self, box, who):
        """On cgroup v1 it is the supervisor that takes the whole container: it must remember."""
        box.tenant()
        box.launch("acme/web", memory="64M")
        box.put_probe("acme/web")
        box.ok("set", "acme/web", "--oom-group", "on")
        crash(box, who)
        box.restart(*who)
        box.exec("acme/web", "/probe", "eat", str(200 << 20), "0")
        box.wait_state("acme/web", "STOPPED")

    def test_new_containers_can_be_made(self, box, who):
        box.tenant()
        first = box.launch("acme/a")
        crash(box, who)
        box.restart(*who)
        second = box.launch("acme/b")
        assert second["run"]["id_base"] != first["run"]["id_base"]
        box.sh("acme/b", "true")


@victims
class TestEnding:
    def test_ended_meanwhile(self, box, who):
        """It is shown as ended, with its status where the kernel still tells it, and billed."""
        box.tenant()
        box.launch("acme/web", init=[
            "/bin/sh", "-c", "trap 'exit 9' USR1; while :; do sleep 0.05; done"])
        cgroup = box.cgroup("acme/web")
        pid = box.init_pid("acme/web")
        counted = cgroup.cpu_usec()
        crash(box, who)
        os.kill(pid, signal.SIGUSR1)
        wait_until("init has ended", lambda: not kernel.is_alive(pid))
        box.restart(*who)
        info = box.wait_state("acme/web", "STOPPED")
        if who == ("croftd",):
            assert info["run"]["exit"] == {"kind": "EXITED", "status": 9}
        else:
            assert info["run"]["exit"] in (
                {"kind": "EXITED", "status": 9}, {"kind": "UNKNOWN"}), info["run"]
        assert "end_time" in info["run"]
        check_bill(box, "acme/web", counted)
        box.ok("start", "acme/web")
        box.ok("kill", "acme/web")

    def test_killed_while_stopping(self, box, who):
        box.tenant()
        script = "trap '' USR2 TERM PWR INT HUP; while :; do sleep 0.1; done"
        box.launch("acme/web", init=["/bin/sh", "-c", script])
        stopper = threading.Thread(target=box.croft, args=("stop", "--timeout", "2", "acme/web"))
        stopper.start()
        wait_until("it is stopping", lambda: box.info("acme/web")["state"] == "STOPPING")
        box.tenant("later")  # What came before is committed then.
        crash(box, who)
        box.restart(*who)
        stopper.join()
        # Whatever became of the client: its timeout is kept.
        box.wait_state("acme/web", "STOPPED", 20)
        box.ok("start", "acme/web")
        box.ok("kill", "acme/web")
        box.wait_state("acme/web", "STOPPED")

    def test_a_stop_stays_one(self, box, who):
        """Also of an init that answers the stop signal with a reboot, and of a container that is
        started again whenever it ends by itself."""
        box.tenant()
        script = ("trap : TERM; trap 'exec reboot -f' USR1; "
                  "echo up; while :; do usleep 20000; done")
        before = box.launch("acme/web", options=["--restart", "always"],
                            init=["/bin/sh", "-c", script])
        wait_until("it is up", lambda: "up" in box.ok("logs", "acme/web"))
        stopper = threading.Thread(target=box.croft, args=("stop", "--timeout", "60", "acme/web"))
        stopper.start()
        wait_until("it is stopping", lambda: box.info("acme/web")["state"] == "STOPPING")
        box.tenant("later")  # What came before is committed then.
        crash(box, who)
        box.restart(*who)
        info = box.info("acme/web")
        assert (info["state"], info["run"]["id"]) == ("STOPPING", before["run"]["id"])
        os.kill(before["run"]["host_pid"], signal.SIGUSR1)
        run = box.wait_state("acme/web", "STOPPED")["run"]
        stopper.join()
        assert run["id"] == before["run"]["id"]
        # How an init has ended that was adopted by another supervisor, the kernel may not tell.
        if "supervisor" not in who:
            assert run["exit"]["kind"] == "POWEROFF", run
        types = {e["type"] for e in box.json_lines("events") if e.get("run_id") == run["id"]}
        assert "container.ended" in types and "container.restart_due" not in types


@victims
class TestStarting:
    def test_killed_while_starting(self, box, who):
        """Launches in flight: each is afterwards whole or not there, and nothing is orphaned."""
        box.tenant(containers=64, pids=1000, memory="1G")
        done = threading.Event()
        made = []

        def launch_on():
            for i in range(40):
                if done.is_set():
                    return
                made.append(f"acme/c{i}")
                box.croft("launch", "busybox", made[-1], "--", "/bin/sleep", "1000", timeout=60)

        thread = threading.Thread(target=launch_on)
        thread.start()
        wait_until("some are made", lambda: len(made) >= 4)
        crash(box, who)
        done.set()
        thread.join()
        box.restart(*who)
        wait_until("all have settled", lambda: all(
            c.get("state", "STOPPED") in ("RUNNING", "STOPPED") for c in box.json_lines("list")))
        for container in box.json_lines("list"):
            name = container["name"].removeprefix("tenants/").replace("/containers/", "/")
            if container.get("state") == "RUNNING":
                assert box.exec(name, "/bin/true").rc == 0, name
            box.ok("delete", "--force", name)
        wait_until("no process is left", lambda: not box.cgroup("acme").processes())
        box.launch("acme/after")


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return {int(word) for word in f.read().split()}


@contextlib.contextmanager
def builder_held(box, name):
    """A start whose builder, a child of the supervisor's, does nothing (SIGSTOP) for as long as
    the block runs. Tried until one is met at work: what is met may be the new init already."""
    held = set()

    def try_once():
        others = children(box.pids["supervisor"])
        starter = threading.Thread(target=box.croft, args=("start", name))
        starter.start()
        while not held and starter.is_alive():
            for pid in children(box.pids["supervisor"]) - others:
                os.kill(pid, signal.SIGSTOP)
                held.add(pid)
        starter.join(0.5)
        if starter.is_alive():
            return starter
        let_go()
        box.croft("kill", name)
        box.wait_state(name, "STOPPED")
        return None

    def let_go():
        while held:
            with contextlib.suppress(ProcessLookupError):
                os.kill(held.pop(), signal.SIGCONT)

    try:
        starter = wait_until("a builder is met", try_once, 60)
        yield
    finally:
        let_go()
    starter.join()


def test_still_being_built_when_stock_is_taken(box):
    """croftd's successor learns of a start that was under way how it has ended, also when there
    is so much stock to take that it cannot ask again at once."""
    for i in range(100):
        box.tenant(f"t{i}")
    box.tenant()
    box.ok("create", "busybox", "acme/web")
    with builder_held(box, "acme/web"):
        before = box.read_log().count("reconciled ")
        box.kill9("croftd")
        box.restart("croftd")
        wait_until("stock is taken", lambda: box.read_log().count("reconciled ") > before)
        assert box.info("acme/web")["state"] == "STARTING"
    box.wait_state("acme/web", "RUNNING")
    assert box.exec("acme/web", "/bin/true").rc == 0


SMALL = 128  # bytes


def asked(daemon):
    """True when a change of limits waits for the supervisor, which is held. What croftd asks by
    itself, each second, has no more than a few bytes."""
    fds = f"/proc/{daemon.pids['supervisor']}/fd"
    own = {os.readlink(f"{fds}/{fd}") for fd in os.listdir(fds)}
    sockets = subprocess.run(["ss", "-xaH"], check=True, capture_output=True, text=True).stdout
    words = (line.split() for line in sockets.splitlines() if line.startswith("u_seq"))
    return any(state == "ESTAB" and f"socket:[{inode}]" in own and int(waiting) > SMALL
               for _, state, waiting, _, _, inode, *_ in words)


@victims
class TestChanging:
    def test_limits_are_what_is_shown(self, box, who):
        """A change that nobody lived to confirm: afterwards the kernel holds what is on record."""
        box.tenant()
        box.launch("acme/web", pids=50, memory="64M")
        cgroup = box.cgroup("acme/web")
        with contextlib.ExitStack() as stack:
            with box.held("supervisor"):
                change = stack.enter_context(box.background("set", "acme/web", "--pids", "20"))
                wait_until("it is asked", lambda: asked(box))
                crash(box, who)
            if who == ("croftd",):
                wait_until("it is applied", lambda: cgroup.pids_max() == 20)
            box.restart(*who)
            assert change.wait(10 * PATIENCE) == 1
        assert box.info("acme/web")["limits"]["pids"] == 50
        wait_until("it is as before", lambda: cgroup.pids_max() == 50)
        assert cgroup.memory_max() == 64 << 20
        wait_until("it can be changed again", lambda: box.croft(
            "set", "acme/web", "--pids", "30").rc == 0)
        assert cgroup.pids_max() == 30
        crash(box, ("croftd",))
        box.restart("croftd")
        assert (box.info("acme/web")["limits"]["pids"], cgroup.pids_max()) == (30, 30)


@pytest.mark.vm
class TestRequests:
    @pytest.mark.native("an answer of the API")
    def test_supervisor_gone_is_unavailable(self, box):
        box.tenant()
        box.launch("acme/web")
        box.kill9("supervisor")
        box.refused("exec", "-T", "acme/web", "--", "/bin/true", rc=125, match="supervisor")
        box.refused("launch", "busybox", "acme/b", match="supervisor")
        assert box.info("acme/web")["state"] == "RUNNING"
        box.restart("supervisor")
        check_works(box, "acme/web")

    @pytest.mark.native("request ids, in the database")
    def test_retried_request_is_done_once(self, box):
        """A client that lost its answer sends the same request again, also to a new croftd."""
        request = {"tenant_id": "acme", "request_id": "11111111-2222-4333-8444-555555555555"}
        with box.api() as api:
            first = api.call("Tenants/CreateTenant", request)
            assert api.call("Tenants/CreateTenant", request) == first
        crash(box, ("croftd",))
        box.restart("croftd")
        with box.api() as api:
            assert api.call("Tenants/CreateTenant", request) == first
        assert len(box.json_lines("tenant", "list")) == 1

    @pytest.mark.native("request ids, in the database")
    def test_retried_failure_is_no_success(self, box):
        """What a launch replies is on record before its init runs: where that cannot, it is not,
        before anybody is told."""
        box.tenant()

        def refusal(request_id):
            request = {
                "parent": "tenants/acme", "container_id": "web", "request_id": request_id,
                "container": {"image": "images/busybox", "init_args": ["/no/such/init"]}}
            with box.api() as api:
                try:
                    api.call("Containers/LaunchContainer", request)
                except grpc.RpcError as e:
                    # Killed as soon as it has answered.
                    crash(box, ("croftd",))
                    box.restart("croftd")
                    return e.details()
            return None

        for i in range(8):
            first = refusal(f"r{i}")
            assert "/no/such/init" in first
            assert refusal(f"r{i}") == first

    @pytest.mark.native("the database")
    def test_committed_is_kept(self, box):
        """A reply is a promise: what was answered is there after kill -9."""
        for i in range(10):
            box.ok("tenant", "create", f"t{i}", "--pids", str(100 + i))
        crash(box, ("croftd",))
        box.restart("croftd")
        tenants = {t["name"]: t for t in box.json_lines("tenant", "list")}
        assert {n: t["limits"]["pids"] for n, t in tenants.items()} == {
            f"tenants/t{i}": 100 + i for i in range(10)}


@pytest.mark.vm
class TestStopping:
    def test_sigterm_leaves_containers_running(self, box):
        box.tenant()
        before = box.launch("acme/web")["run"]
        box.terminate("croftd")
        assert box.reaper.status(box.pids["croftd"]) == "exited 0"
        assert kernel.is_alive(before["host_pid"])
        box.terminate("supervisor")
        assert kernel.is_alive(before["host_pid"])
        box.restart("croftd")
        assert box.info("acme/web")["run"]["id"] == before["id"]
        check_works(box, "acme/web")

    def test_two_instances_do_not_meet(self, box, schema):
        """Same tenant and container names, one host: ranges apart, and each sees its own."""
        from croft_harness import Daemon

        other = Daemon(schema)
        try:
            other.start()
            other.busybox()
            for d in (box, other):
                d.tenant()
                d.launch("acme/web")
            ours, theirs = box.info("acme/web")["run"], other.info("acme/web")["run"]
            assert ours["id_base"] != theirs["id_base"]
            other.ok("delete", "--force", "acme/web")
            assert box.info("acme/web")["state"] == "RUNNING"
            other.shutdown()
            assert box.exec("acme/web", "/bin/true").rc == 0
        finally:
            other.finish()


class TestConsole:
    @pytest.mark.parametrize("who", ["croftd", "supervisor"])
    def test_outlives_either(self, box, who):
        """It is the container's: what has it open goes on, and is read as before."""
        box.tenant()
        box.launch("acme/web", init=["/bin/sh", "-c", "exec 3</dev/console; sleep 100000"])
        box.sh("acme/web", "echo before >/dev/console")
        wait_until("it is logged", lambda: "before" in box.ok("logs", "acme/web"))
        box.kill9(who)
        box.restart(who)
        assert box.exec("acme/web", "/bin/sh", "-c", "echo after >/dev/console").rc == 0
        wait_until("it is logged, too", lambda: "after" in box.ok("logs", "acme/web"))
