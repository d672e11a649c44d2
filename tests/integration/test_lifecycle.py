"""A container's life through the command line: states, exec, logs, freezing, shutting down."""

import concurrent.futures
import contextlib
import json
import os
import re
import signal
import socket
import sqlite3
import time

import grpc
import pytest

import grpc_wire
import kernel
from croft_harness import wait_until
from test_holds import nothing_committed


@pytest.mark.vm
class TestStates:
    def test_create_start_stop_delete(self, box):
        box.tenant()
        box.ok("create", "busybox", "acme/web")
        assert box.info("acme/web").get("state") == "STOPPED"
        box.refused("exec", "-T", "acme/web", "--", "/bin/true", rc=125, match="running|stopped")
        box.ok("start", "acme/web")
        first = box.info("acme/web")
        assert first["state"] == "RUNNING"
        assert kernel.is_alive(first["run"]["host_pid"])
        box.refused("start", "acme/web", match="running")
        box.refused("delete", "acme/web", match="running|force")
        box.ok("stop", "acme/web")
        stopped = box.info("acme/web")
        assert stopped["state"] == "STOPPED"
        assert "end_time" in stopped["run"]
        assert not kernel.is_alive(first["run"]["host_pid"])
        box.refused("stop", "acme/web", match="running|stopped")
        box.ok("start", "acme/web")
        assert box.info("acme/web")["run"]["id"] != first["run"]["id"]
        box.ok("delete", "--force", "acme/web")
        box.refused("info", "acme/web", match="acme/web|no container")

    @pytest.mark.native("an image that is not there")
    def test_launch_that_fails_leaves_nothing(self, box):
        box.tenant()
        box.refused("launch", "busybox", "acme/web", "--", "/no/such/init", match="/no/such/init")
        assert box.json_lines("list") == []
        assert not box.cgroup("acme/web").exists()
        box.launch("acme/web")

    def test_stop_asks_before_it_kills(self, box):
        box.tenant()
        script = "trap 'echo bye; exit 7' USR2 TERM PWR; echo up; while :; do sleep 0.1; done"
        box.launch("acme/web", init=["/bin/sh", "-c", script])
        wait_until("it is up", lambda: "up" in box.ok("logs", "acme/web"))
        box.ok("stop", "acme/web")
        run = box.info("acme/web")["run"]
        assert run["exit"] == {"kind": "EXITED", "status": 7}, run
        assert "bye" in box.ok("logs", "acme/web")

    def test_stop_of_an_init_that_reboots_then(self, box):
        """As busybox's init does on SIGTERM: it was asked to stop, and is not rebooted."""
        box.tenant()
        script = "trap 'exec reboot -f' TERM; echo up; while :; do usleep 20000; done"
        first = box.launch("acme/web", init=["/bin/sh", "-c", script])["run"]
        wait_until("it is up", lambda: "up" in box.ok("logs", "acme/web"))
        box.ok("stop", "acme/web")
        info = box.info("acme/web")
        assert (info["state"], info["run"]["id"]) == ("STOPPED", first["id"])
        assert info["run"]["exit"]["kind"] == "POWEROFF", info["run"]
        ended = [e for e in box.json_lines("events") if e.get("run_id") == first["id"]
                 and e["type"] == "container.ended"]
        assert [e["message"] for e in ended] == ["acme/web ended: it shut down"]

    def test_stop_of_one_that_reboots_meanwhile(self, box):
        """The end of its run is not on record yet: it is not booted again."""
        box.tenant()
        script = "trap 'exec reboot -f' USR1; echo up; while :; do usleep 20000; done"
        first = box.launch("acme/web", init=["/bin/sh", "-c", script])["run"]
        wait_until("it is up", lambda: "up" in box.ok("logs", "acme/web"))

        def request(kind):
            fields = {"name": "tenants/acme/containers/web"}
            message = grpc_wire.message(f"croft.v1.{kind}Request")(**fields)
            return grpc_wire.frame(message.SerializeToString())

        with grpc_wire.raw(box.socket) as conn:
            with nothing_committed(box):
                os.kill(first["host_pid"], signal.SIGUSR1)
                wait_until("it has ended", lambda: box.info("acme/web")["state"] == "STOPPING")
                stop = conn.headers({":path": "/croft.v1.Containers/StopContainer"}, flush=False)
                conn.data(stop, request("StopContainer"), True)
                # Whoever is answered behind it says that it was taken.
                conn.call(request("GetContainer"), {":path": "/croft.v1.Containers/GetContainer"})
            assert conn.reply(stop)["status"] == 0
        info = box.info("acme/web")
        assert (info["state"], info["run"]["id"]) == ("STOPPED", first["id"])

    def test_stop_kills_after_the_timeout(self, box):
        box.tenant()
        script = "trap '' USR2 TERM PWR HUP INT; while :; do sleep 0.1; done"
        box.launch("acme/web", init=["/bin/sh", "-c", script])
        start = time.monotonic()
        box.ok("stop", "--timeout", "1", "acme/web")
        assert time.monotonic() - start >= 1
        run = box.info("acme/web")["run"]
        assert run["exit"] == {"kind": "SIGNALLED", "signal": 9}, run

    def test_kill(self, box):
        box.tenant()
        box.launch("acme/web")
        pids = box.cgroup("acme/web").processes()
        assert pids
        box.ok("kill", "acme/web")
        box.wait_state("acme/web", "STOPPED")
        wait_until("all are gone", lambda: not any(kernel.is_alive(p) for p in pids))

    @pytest.mark.native("two that are there, in turn")
    def test_restart_is_a_new_run_of_the_same_disk(self, box):
        box.tenant()
        first = box.launch("acme/web")
        box.sh("acme/web", "echo kept >/kept; echo lost >/dev/shm/lost; sync")
        box.ok("restart", "acme/web")
        assert box.info("acme/web")["run"]["id"] != first["run"]["id"]
        assert box.info("acme/web")["uid"] == first["uid"]
        assert box.sh("acme/web", "cat /kept") == "kept\n"
        assert box.exec("acme/web", "/bin/cat", "/dev/shm/lost").rc != 0

    def test_own_exit_is_told(self, box):
        box.tenant()
        box.launch("acme/web", init=["/bin/sh", "-c", "sleep 0.3; exit 42"])
        run = box.wait_state("acme/web", "STOPPED")["run"]
        assert run["exit"] == {"kind": "EXITED", "status": 42}

    @pytest.mark.native("croftd's decision")
    def test_ephemeral_goes_with_its_run(self, box):
        box.tenant()
        box.ok("launch", "busybox", "acme/web", "--ephemeral", "--", "/bin/sleep", "0.3")
        wait_until("it is deleted", lambda: box.croft("info", "acme/web").rc == 1)
        assert not box.cgroup("acme/web").exists()

    @pytest.mark.parametrize("word,kind", [
        ("poweroff", "POWEROFF"),
        pytest.param("halt", "POWEROFF", marks=pytest.mark.native("the same system call")),
    ])
    def test_poweroff_inside(self, box, word, kind):
        box.tenant()
        box.launch("acme/web")
        box.exec("acme/web", f"/sbin/{word}", "-f")
        run = box.wait_state("acme/web", "STOPPED")["run"]
        assert run["exit"]["kind"] == kind, run

    def test_reboot_inside_is_a_new_run(self, box):
        box.tenant()
        first = box.launch("acme/web")["run"]
        box.exec("acme/web", "/sbin/reboot", "-f")
        info = wait_until("it runs again", lambda: (
            i := box.info("acme/web"))["state"] == "RUNNING" and i["run"]["id"] != first["id"]
            and i)
        assert kernel.is_alive(info["run"]["host_pid"])
        assert not kernel.is_alive(first["host_pid"])

    def test_freeze_and_thaw(self, box):
        box.tenant()
        box.launch("acme/web")
        box.put_probe("acme/web")
        box.sh("acme/web", "/probe burn 1 1000 >/dev/null 2>&1 &")
        cgroup = box.cgroup("acme/web")
        wait_until("it burns", lambda: cgroup.cpu_usec() > 200_000)
        box.ok("freeze", "acme/web")
        assert box.info("acme/web")["state"] == "FROZEN"
        before = cgroup.cpu_usec()
        time.sleep(0.5)
        assert cgroup.cpu_usec() == before
        box.refused("exec", "-T", "acme/web", "--", "/bin/true", rc=125, match="frozen")
        box.ok("thaw", "acme/web")
        wait_until("it burns again", lambda: cgroup.cpu_usec() > before + 100_000)

    def test_frozen_can_be_stopped_and_deleted(self, box):
        box.tenant()
        for name, command in (("acme/a", ("stop", "--timeout", "1")),
                              ("acme/b", ("delete", "--force"))):
            box.launch(name)
            box.ok("freeze", name)
            box.ok(*command, name)

    def test_hundred_runs_leave_nothing(self, shared):
        shared.tenant()
        for _ in range(20):
            shared.launch("acme/web", init=["/bin/true"])
            shared.wait_state("acme/web", "STOPPED")
            shared.ok("delete", "acme/web")
        shared.ok("tenant", "delete", "acme")


class TestExec:
    def test_streams_are_apart(self, box):
        box.tenant()
        box.launch("acme/web")
        result = box.exec("acme/web", "/bin/sh", "-c", "echo out; echo err >&2; exit 3")
        assert (result.rc, result.out, result.err) == (3, "out\n", "err\n")

    @pytest.mark.parametrize(
        "script,status",
        [("exit 0", 0), ("exit 1", 1), ("exit 125", 125), ("exit 255", 255),
         ("kill -9 $$", 137), ("kill -15 $$", 143)],
    )
    def test_status(self, box, script, status):
        box.tenant()
        box.launch("acme/web")
        assert box.exec("acme/web", "/bin/sh", "-c", script).rc == status

    def test_refusals_have_their_own_status(self, box):
        box.tenant()
        box.launch("acme/web")
        assert box.exec("acme/web", "/no/such").rc == 127
        assert box.exec("acme/web", "no-such-word").rc == 127
        assert box.exec("acme/web", "/etc").rc == 126
        box.sh("acme/web", "echo x >/plain")
        assert box.exec("acme/web", "/plain").rc == 126
        assert box.exec("acme/none", "/bin/true").rc == 125
        assert box.exec("acme/web", "/bin/true", options=["-u", "nobody-at-all"]).rc == 125
        assert box.exec("acme/web", "/bin/true", options=["-w", "/no/such"]).rc == 125

    def test_stdin(self, box):
        box.tenant()
        box.launch("acme/web")
        data = bytes(range(256)) * 4096
        result = box.exec("acme/web", "/bin/cat", stdin=data)
        assert result.rc == 0 and result.raw == data
        assert box.exec("acme/web", "/usr/bin/wc", "-c", stdin=data).out.split() == [
            str(len(data))]
        assert box.exec("acme/web", "/bin/cat", stdin=b"").raw == b""

    def test_reader_that_does_not_read(self, box):
        box.tenant()
        box.launch("acme/web")
        assert box.exec("acme/web", "/bin/true", stdin=b"x" * (4 << 20)).rc == 0

    def test_much_output(self, box):
        box.tenant()
        box.launch("acme/web")
        result = box.exec("acme/web", "/bin/sh", "-c", "head -c 20000000 /dev/zero")
        assert result.rc == 0 and len(result.raw) == 20_000_000

    def test_environment_user_and_directory(self, box):
        box.tenant()
        box.launch("acme/web")
        assert box.sh("acme/web", "id -u; id -g; pwd").split()[:2] == ["0", "0"]
        result = box.exec("acme/web", "/bin/sh", "-c", "id -u; id -G; pwd; echo $A",
                          options=["-u", "1234", "-w", "/tmp", "-e", "A=b c"])
        assert result.out == "1234\n1234\n/tmp\nb c\n"
        box.sh("acme/web", "echo bob:x:77:78::/home:/bin/sh >>/etc/passwd")
        result = box.exec("acme/web", "/bin/sh", "-c", "id -u; id -g", options=["-u", "bob"])
        assert result.out == "77\n78\n"

    def test_host_environment_stays_out(self, box):
        box.tenant()
        box.launch("acme/web")
        result = box.exec("acme/web", "/usr/bin/env", env={"SECRET": "hidden"})
        assert "SECRET" not in result.out
        assert "CROFT" not in result.out

    def test_terminal(self, box):
        box.tenant()
        box.launch("acme/web")
        result = box.croft("exec", "-t", "acme/web", "--", "/bin/sh", "-c",
                           "test -t 0 && test -t 1 && test -t 2 && tty; exit 5")
        assert result.rc == 5, result
        assert "/dev/pts/" in result.out
        result = box.exec("acme/web", "/bin/sh", "-c", "test -t 0 || echo none")
        assert result.out == "none\n"

    def test_client_that_leaves_hangs_the_command_up(self, box):
        box.tenant()
        box.launch("acme/web")
        with box.background_exec("acme/web", "/bin/sleep", "1000"):
            wait_until("it runs", lambda: "sleep 1000" in box.sh("acme/web", "ps"))
        wait_until("it was hung up", lambda: "sleep 1000" not in box.sh("acme/web", "ps"))

    def test_many_at_once(self, box):
        box.tenant()
        box.launch("acme/web")
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            results = list(pool.map(
                lambda i: box.exec("acme/web", "/bin/echo", str(i)), range(64)))
        assert [r.out.strip() for r in results] == [str(i) for i in range(64)]

    def test_is_in_the_containers_cgroups_and_namespaces(self, box):
        box.tenant()
        box.launch("acme/web")
        with box.background_exec("acme/web", "/bin/sh", "-c", "echo up; exec sleep 1000") as child:
            assert child.stdout.readline() == b"up\n"
            init = box.init_pid("acme/web")
            pids = box.cgroup("acme/web").processes()
            assert init in pids
            alike = 0
            for pid in pids:
                for space in ("pid", "net", "uts", "ipc", "user", "mnt", "cgroup"):
                    with contextlib.suppress(FileNotFoundError):  # one of init's that has ended
                        assert os.readlink(f"/proc/{pid}/ns/{space}") == os.readlink(
                            f"/proc/{init}/ns/{space}"), (pid, space)
                        alike += 1
            assert alike >= 2 * 7


class TestLogs:
    def test_output_is_kept(self, box):
        box.tenant()
        box.launch("acme/web", init=["/bin/sh", "-c", "echo one; echo two >&2; sleep 1000"])
        wait_until("two lines", lambda: box.ok("logs", "acme/web").split() == ["one", "two"])

    def test_a_flood_is_bounded(self, box):
        box.tenant()
        box.launch("acme/web", init=[
            "/bin/sh", "-c", "yes | head -c 8000000; echo; echo done; sleep 1000"])
        wait_until("it has been read",
                   lambda: box.ok("logs", "--tail", "5", "acme/web") == "done\n", 60)
        assert 0 < len(box.ok("logs", "acme/web")) <= 16 << 20

    def test_nobody_reading_does_not_stop_it(self, box):
        """Standard output has no reader while croftd is down; a writer must not die of it."""
        box.tenant()
        script = "i=0; while :; do echo line $i; i=$((i + 1)); sleep 0.05; done"
        box.launch("acme/web", init=["/bin/sh", "-c", script])
        pid = box.init_pid("acme/web")
        box.kill9("croftd")
        time.sleep(0.5)
        assert kernel.is_alive(pid)
        box.restart("croftd")
        lines = len(box.ok("logs", "acme/web").splitlines())
        wait_until("it goes on", lambda: len(box.ok("logs", "acme/web").splitlines()) > lines)


class TestHost:
    def test_shutdown_ends_what_runs(self, fresh_box):
        """In order, containers first: what they wrote last is in their file systems."""
        box = fresh_box
        box.tenant()
        for i in range(4):
            box.launch(f"acme/c{i}")
        box.ok("freeze", "acme/c1")
        box.ok("create", "busybox", "acme/stopped")
        box.shutdown()
        box.start()
        assert {c.get("state", "STOPPED") for c in box.json_lines("list")} == {"STOPPED"}
        box.ok("start", "acme/c0")

    def test_a_first_start_is_quiet(self, daemon):
        """The connection that showed that the supervisor answers is the one that stays."""
        assert daemon.read_log().count("server connected") == 1
        for word in ("another server", "hung up", "supervisor-lost"):
            assert word not in daemon.read_log(), daemon.read_log()

    def test_a_supervisor_of_another_version_is_named(self, bare_daemon):
        """Not that a second one did not start beside it."""
        box = bare_daemon
        os.makedirs(box.state)
        os.makedirs(box.run)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as other:
            other.bind(f"{box.run}/supervisor.sock")
            other.listen()
            other.settimeout(60)
            pid = box.reaper.start(box.arguments(), box.log)
            with other.accept()[0] as peer:
                peer.recv(4096)
                peer.send(b"hello in other words")
                wait_until("croftd has ended", lambda: box.reaper.status(pid) != "running", 60)
        os.unlink(f"{box.run}/supervisor.sock")
        assert box.reaper.status(pid) == "exited 1"
        assert not os.path.exists(f"{box.run}/croftd.pid")
        log = box.read_log()
        assert "speaks another protocol; restart it" in log and "ended at once" not in log, log
        box.start()

    def test_a_stop_takes_its_socket_away(self, bare_daemon):
        """Also one that is not in the run directory, where the next croftd may never look."""
        box = bare_daemon
        public = f"{box.base}/public"
        os.mkdir(public)
        os.chmod(public, 0o1777)
        own, other = f"{public}/own.sock", f"{public}/other.sock"
        box.start("--listen", f"unix:{own}", "--listen", f"unix:{other}")
        assert os.stat(own).st_mode & 0o777 == 0o666
        os.rename(other, f"{other}.aside")
        with open(other, "w", encoding="ascii") as f:
            f.write("somebody else's")
        box.terminate("croftd")
        assert not os.path.exists(own)
        with open(other, encoding="ascii") as f:
            assert f.read() == "somebody else's"
        os.unlink(other)
        box.restart("croftd")

    def test_without_a_supervisor(self, box):
        box.tenant()
        box.launch("acme/web")
        pid = box.init_pid("acme/web")
        box.kill9("supervisor")
        for command in (("stop", "acme/web"), ("delete", "--force", "acme/web"),
                        ("launch", "busybox", "acme/new"), ("tenant", "set", "acme", "--pids", "9"),
                        ("host", "shutdown")):
            told = box.refused(*command, match="croft-supervisor is not running")
            assert "containers run on" in told and "restarting croftd" in told, told
        assert kernel.is_alive(pid)
        assert [c["name"] for c in box.json_lines("list")] == ["tenants/acme/containers/web"]
        box.restart("supervisor")
        box.ok("stop", "--timeout", "1", "acme/web")


class TestPoolWithoutLimits:
    """No path drops a disk limit without a word: refused where it is asked for, shown where it is
    the plan's, told where it was set when the host still could."""

    @pytest.fixture
    def box(self, bare_daemon):
        bare_daemon.start("--pool-driver", "plain")
        return bare_daemon

    def test_the_plans_is_shown_as_not_enforced(self, box):
        box.tenant()
        tenant = box.json("tenant", "show", "acme")
        assert tenant["limits"]["disk_bytes"] == 5 << 30
        assert not tenant.get("disk_limit_enforced")

    def test_one_that_is_asked_for_is_refused_whole(self, box):
        box.refused("tenant", "create", "acme", "--disk", "64M", match="plain.*disk")
        assert box.json_lines("tenant", "list") == []
        wait_until("its cgroup is gone", lambda: not box.cgroup("acme").exists())
        box.tenant(pids=100)
        box.refused("tenant", "set", "acme", "--pids", "50", "--disk", "64M", match="plain.*disk")
        assert box.cgroup("acme").pids_max() == 100
        assert box.json("tenant", "show", "acme")["limits"]["pids"] == 100
        # The plan's own figure, once it is asked for, as well.
        box.refused("tenant", "set", "acme", "--disk", "5G", match="plain.*disk")
        box.ok("tenant", "set", "acme", "--pids", "50")
        assert box.cgroup("acme").pids_max() == 50

    def test_a_refusal_undoes_no_later_change(self, box):
        """What is put back after a refusal is put back before it is told."""
        box.tenant(pids=100)
        with box.api() as api:
            for pids in range(100, 500):
                limits = {"pids": 50, "disk_bytes": 64 << 20}
                with pytest.raises(grpc.RpcError):
                    api.call("Tenants/UpdateTenant", {
                        "tenant": {"name": "tenants/acme", "limits": limits},
                        "update_mask": "limits.pids,limits.diskBytes"})
                api.call("Tenants/UpdateTenant", {
                    "tenant": {"name": "tenants/acme", "limits": {"pids": pids}},
                    "update_mask": "limits.pids"})
                assert box.cgroup("acme").pids_max() == pids

    def test_one_from_before_is_told(self, box):
        box.tenant(pids=100)
        box.terminate("croftd")
        state = sqlite3.connect(f"{box.state}/server/croft.db")
        with state:
            state.execute("UPDATE tenants SET own_limits = own_limits || ' disk'")
        state.close()
        box.restart("croftd")
        assert box.cgroup("acme").pids_max() == 100
        assert not box.json("tenant", "show", "acme").get("disk_limit_enforced")
        assert re.search(r"disk limit holds +no\n", box.ok("tenant", "show", "acme"))
        assert re.search(r"disk limits hold +no\n", box.ok("host", "info"))
        assert "disk-limit-not-enforced tenant=acme" in box.read_log()
        told = [e for e in box.events() if e["type"] == "tenant.limit_unenforced"]
        assert len(told) == 1
        details = json.loads(told[0]["details_json"])
        assert (details["limit"], details["value"]) == ("limits.disk_bytes", 5 << 30)
        box.ok("tenant", "set", "acme", "--pids", "50")

    def test_a_pool_with_limits_enforces(self, fresh_box):
        fresh_box.tenant(disk="64M")
        assert re.search(r"disk limit holds +yes\n", fresh_box.ok("tenant", "show", "acme"))
        assert re.search(r"disk limits hold +yes\n", fresh_box.ok("host", "info"))
        assert fresh_box.json("tenant", "show", "acme")["disk_limit_enforced"]


class TestTenants:
    def test_suspend_freezes_and_refuses(self, box):
        box.tenant()
        box.launch("acme/web")
        box.ok("create", "busybox", "acme/other")
        box.put_probe("acme/web")
        box.sh("acme/web", "/probe burn 1 1000 >/dev/null 2>&1 &")
        cgroup = box.cgroup("acme/web")
        wait_until("it burns", lambda: cgroup.cpu_usec() > 200_000)
        box.ok("tenant", "suspend", "acme", "--reason", "unpaid")
        assert box.json("tenant", "show", "acme")["suspend_reason"] == "unpaid"
        before = cgroup.cpu_usec()
        time.sleep(0.5)
        assert cgroup.cpu_usec() == before
        for command in (("start", "acme/other"), ("launch", "busybox", "acme/new"),
                        ("restart", "acme/web")):
            box.refused(*command, match="suspended")
        assert box.croft("thaw", "acme/web").rc == 1
        assert cgroup.cpu_usec() == before
        box.refused("exec", "-T", "acme/web", "--", "/bin/true", rc=125, match="suspended")
        box.ok("tenant", "resume", "acme")
        assert box.exec("acme/web", "/bin/true").rc == 0
        box.ok("start", "acme/other")

    def test_a_start_does_not_wait_for_a_suspension_to_end(self, box):
        """What is half built stands still with the rest; it is taken back, and says why."""
        box.tenant()
        names = [f"acme/c{n}" for n in range(4)]
        for _ in range(12):
            with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
                launches = [pool.submit(box.croft, "launch", "busybox", n) for n in names]
                box.ok("tenant", "suspend", "acme", "--reason", "unpaid")
                results = [launch.result() for launch in launches]
            for result in results:
                assert result.rc == 0 or "tenant acme is suspended" in result.err, result
            box.ok("tenant", "resume", "acme")
            assert len(box.json_lines("list")) == sum(r.rc == 0 for r in results)
            # Who was told so finds nothing left of it.
            for name, result in zip(names, results):
                if result.rc:
                    box.ok("launch", "busybox", name)
                box.ok("delete", "--force", name)

    def test_delete_needs_force_while_it_has_containers(self, box):
        box.tenant()
        box.launch("acme/web")
        box.refused("tenant", "delete", "acme", match="container")
        box.ok("tenant", "delete", "--force", "acme")
        assert box.json_lines("list") == []
        wait_until("its cgroups are gone", lambda: not box.cgroup("acme").exists())

    def test_a_bound_user_sees_its_own(self, box):
        box.tenant("acme")
        box.tenant("other")
        box.launch("acme/web")
        box.launch("other/web")
        box.refused("list", uid=4321, match=".")
        box.ok("tenant", "bind", "acme", "4321")
        names = [c["name"] for c in box.json_lines("list", "acme", uid=4321)]
        assert names == ["tenants/acme/containers/web"]
        assert [t["name"] for t in box.json_lines("tenant", "list", uid=4321)] == ["tenants/acme"]
        # Another tenant's things are not there, rather than forbidden.
        hidden = box.refused("info", "other/web", uid=4321)
        absent = box.refused("info", "other/nothing", uid=4321)
        assert hidden.replace("web", "X") == absent.replace("nothing", "X")
        assert box.exec("acme/web", "/bin/true", uid=4321).rc == 0
        assert box.exec("other/web", "/bin/true", uid=4321).rc == 125
        box.refused("tenant", "set", "acme", "--pids", "1000", uid=4321, match=".")
        box.refused("host", "shutdown", uid=4321, match=".")
        box.refused("tenant", "create", "mine", uid=4321, match=".")
