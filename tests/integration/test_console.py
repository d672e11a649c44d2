"""croft console: a container's own terminal, whoever looks and whichever daemon dies."""

import contextlib
import os
import re
import signal
import subprocess
import time

import grpc
import pytest

import api
from croft_harness import PATIENCE, SLOWNESS, program, wait_until
from terminal import terminal

DETACH = "\x01q"
# busybox' init opens a shell on it when told so; Croft's image has none by itself.
SHELL = "echo 'console::respawn:-/bin/sh' >>/etc/inittab; kill -HUP 1"


def wait_shell(daemon, name="acme/web"):
    wait_until("a shell sits on the console", lambda: re.search(
        r"-/bin/sh|-sh", daemon.sh(name, "ps -o args")))


@pytest.fixture
def web(box):
    box.tenant(memory="256M")
    box.launch("acme/web")
    box.sh("acme/web", SHELL)
    wait_shell(box)
    return box


def events(daemon, kind):
    return [e for e in daemon.events() if e["type"] == f"container.console_{kind}"]


@contextlib.contextmanager
def viewer(daemon, *args):
    """croft console without a terminal: what it prints comes by .stdout, .stdin is the console."""
    child = subprocess.Popen(
        [program("croft"), "--host", daemon.host, "console", "acme/web", *args],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


class TestTerminal:
    @pytest.mark.vm
    def test_a_session(self, web):
        """Keys, size, ctrl-c inside, the literal prefix, and leaving; the shell stays."""
        with terminal(web, "console", "acme/web", rows=30, columns=100) as t:
            t.expect("Connected to acme/web; ^A q leaves it.")
            t.type("\n")
            t.expect("# ")
            assert t.is_raw()
            t.type("X=kept; tty; stty size\n")
            t.expect("/dev/console")
            t.expect("30 100")
            t.resize(40, 120)
            wait_until("the new size is there", lambda: web.sh(
                "acme/web", "stty size </dev/console") == "40 120\n")
            t.type("sleep 1000\n")
            wait_until("sleep runs", lambda: "sleep 1000" in web.sh("acme/web", "ps -o args"))
            t.type("\x03")
            wait_until("sleep is gone",
                       lambda: "sleep 1000" not in web.sh("acme/web", "ps -o args"))
            t.type("cat\n")
            wait_until("cat reads", lambda: "cat\n" in web.sh("acme/web", "ps -o args"))
            t.type("\x01\x01\x01x\n")
            t.expect("^A^Ax")
            t.type("\x03")
            wait_until("cat is gone",
                       lambda: "cat\n" not in web.sh("acme/web", "ps -o args"))
            t.type(DETACH)
            assert t.wait() == 0
            t.expect("acme/web runs on")
            assert t.is_restored()
        with terminal(web, "console", "acme/web") as t:
            t.expect("Connected")
            t.type("\necho $X\n")
            t.expect("kept\r\n")
            t.type(DETACH)
            assert t.wait() == 0
        assert len(events(web, "opened")) == 2
        wait_until("both ends are told", lambda: len(events(web, "closed")) == 2)
        assert "echo $X" in web.ok("logs", "acme/web")

    def test_another_prefix(self, web):
        with terminal(web, "console", "--escape", "^]", "acme/web") as t:
            t.expect("^] q leaves it")
            t.type("\x01q\n")
            t.expect("q")
            t.type("\x1dq")
            assert t.wait() == 0
        for wrong in ("q", "^", "^[", "^1", "^ab", ""):
            result = web.croft("console", "--escape", wrong, "acme/web")
            assert result.rc == 2 and "is not a control key" in result.err, result

    @pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
    def test_signals_restore_the_terminal(self, web, how):
        with terminal(web, "console", "acme/web") as t:
            t.expect("Connected")
            wait_until("it is raw", t.is_raw)
            t.end_by(how)
            assert t.wait() == 128 + how
            assert t.is_restored()

    def test_what_programs_left_on_the_screen_is_undone(self, web):
        with terminal(web, "console", "acme/web") as t:
            t.expect("Connected")
            t.type("\nprintf '\\033[?1049h\\033[?1000h\\033[?25l'; echo do''ne\n")
            t.expect("done")
            t.type(DETACH)
            assert t.wait() == 0
            end = t.expect("runs on")
            for sequence in ("\x1b[!p", "\x1b[?1047l", "\x1b[?1000;1002;1003;1006l"):
                assert sequence in end

    def test_the_container_ends(self, web):
        with terminal(web, "console", "acme/web") as t:
            t.expect("Connected")
            wait_until("it is raw", t.is_raw)
            web.ok("kill", "acme/web")
            assert t.wait() == 0
            t.expect("acme/web has ended")
            assert t.is_restored()

    def test_a_reboot_is_stayed_through(self, web):
        first = web.info("acme/web")["run"]["id"]
        with terminal(web, "console", "acme/web", rows=33, columns=99) as t:
            t.expect("Connected")
            t.type("\nreboot\n")
            wait_until("it has rebooted", lambda: (i := web.info("acme/web"))["run"]["id"] != first
                       and i["state"] == "RUNNING", 20)
            wait_shell(web)
            t.type("\nstty size\n")
            t.expect("33 99", 20)
            t.type(DETACH)
            assert t.wait() == 0


class TestDaemons:
    def test_croftd_is_restarted(self, web):
        """The client is told; what sits on the console notices nothing."""
        with terminal(web, "console", "acme/web") as t:
            t.expect("Connected")
            t.type("\nX=kept; echo se''t\n")
            t.expect("set\r\n")
            web.kill9("croftd")
            assert t.wait() == 1
            assert "croft: " in t.expect("\n") + t.text.decode()
            assert t.is_restored()
            web.restart("croftd")
        with terminal(web, "console", "acme/web") as t:
            t.expect("Connected")
            t.type("\necho $X\n")
            t.expect("kept\r\n")
            t.type(DETACH)
            assert t.wait() == 0

    def test_the_supervisor_is_restarted(self, web):
        """The console goes on while it is away, and it is given it back: then croftd may go."""
        with terminal(web, "console", "acme/web") as t:
            t.expect("Connected")
            t.type("\nX=kept; echo se''t\n")
            t.expect("set\r\n")
            web.kill9("supervisor")
            t.type("echo away: $X\n")
            t.expect("away: kept")
            web.restart("supervisor")
            t.type("echo back: $X\n")
            t.expect("back: kept")
            t.type(DETACH)
            assert t.wait() == 0
        web.kill9("croftd")
        web.restart("croftd")
        with terminal(web, "console", "acme/web") as t:
            t.expect("Connected")
            t.type("\necho again: $X\n")
            t.expect("again: kept")
            t.type(DETACH)
            assert t.wait() == 0

    def test_both_die(self, web):
        """Nobody holds it then; a sentence says so until the next run."""
        web.kill9("croftd")
        web.kill9("supervisor")
        web.restart("croftd", "supervisor")
        web.refused("console", "acme/web", match="the console of acme/web was lost")
        web.ok("restart", "--timeout", "0", "acme/web")
        wait_shell(web)
        with terminal(web, "console", "acme/web") as t:
            t.expect("Connected")
            t.type(DETACH)
            assert t.wait() == 0


class TestViewers:
    def test_several(self, web):
        """What is written goes to all; any of them types; the ninth is refused."""
        with contextlib.ExitStack() as stack:
            viewers = [stack.enter_context(viewer(web)) for _ in range(8)]
            wait_until("all look", lambda: len(events(web, "opened")) == 8)
            assert sorted(e["details_json"].count('"viewers":') for e in events(web, "opened")) \
                == [1] * 8
            viewers[3].stdin.write(b"echo to''all\n")
            viewers[3].stdin.flush()
            for child in viewers:
                seen = b""
                while b"toall\r\n" not in seen:
                    seen += os.read(child.stdout.fileno(), 65536)
            web.refused("console", "acme/web", match="8 look at the console")
            viewers[0].terminate()
            assert viewers[0].wait(10 * PATIENCE) == 128 + signal.SIGTERM
            wait_until("one has left", lambda: events(web, "closed"))
            with viewer(web) as child:
                child.stdin.write(b"echo ni''nth\n")
                child.stdin.flush()
                seen = b""
                while b"ninth\r\n" not in seen:
                    seen += os.read(child.stdout.fileno(), 65536)

    def test_what_is_piped_is_typed_and_leaves(self, web):
        """A script of commands: all of it is typed, more than the console takes at once too, what
        comes of it is shown, and the end of it is the end."""
        lines = "".join(f"echo {i:04} >>/typed\n" for i in range(1000))
        result = web.croft("console", "acme/web", stdin=lines.encode(), timeout=60)
        assert (result.rc, result.err) == (0, "")
        wait_until("all is done", lambda: web.sh("acme/web", "tail -n 1 /typed") == "0999\n", 60)
        assert web.sh("acme/web", "cat /typed | wc -l").split() == ["1000"]
        # An answer may take its time on a busy machine, so it is asked for again.
        wait_until("an answer is seen", lambda: "forty-two" in web.croft(
            "console", "acme/web", stdin=b"echo forty''-two\n").out, 60)
        assert web.croft("console", "acme/web", stdin=b"").rc == 0
        wait_until("all have left", lambda: len(events(web, "opened")) == len(
            events(web, "closed")) > 2)

    def test_one_that_is_never_quiet_is_left_too(self, web):
        web.sh("acme/web",
               "while :; do echo noise >/dev/console; sleep 0.1; done >/dev/null 2>&1 &")
        result = web.croft("console", "acme/web", stdin=b"", timeout=60)
        assert result.rc == 0 and "noise" in result.out

    def test_calls_look_on_when_their_input_ends(self, web):
        """The API's: they are told when all was taken, and leave when they want."""
        with web.api() as client:
            seen = client.stream("Containers/Console", [
                {"start": {"name": "tenants/acme/containers/web"}}, {"input": "Cg=="}])
            wait_until("it was taken", lambda: next(seen).input_taken)
            web.sh("acme/web", "echo from elsewhere >/dev/console")
            output = b""
            while b"from elsewhere" not in output:
                output += next(seen).output

    def test_a_key_is_echoed_at_once(self, web):
        """With the pauses of logs alone, a key in the wake of another waits for 50 ms."""
        with terminal(web, "console", "acme/web") as t:
            t.expect("Connected")
            t.type("\n")
            t.expect("# ")
            times = []
            for key in "abcdefghijklmnopqrstuvwxyz" * 2:
                begin = time.monotonic()
                t.type(key)
                t.expect(key)
                times.append(time.monotonic() - begin)
            print(f"key to echo: median {sorted(times)[26] * 1e3:.1f} ms", flush=True)
            assert sorted(times)[26] < 0.04 * SLOWNESS
            t.type(DETACH)
            assert t.wait() == 0


class TestRequests:
    def test_refusals(self, web):
        name = "tenants/acme/containers/web"
        with web.api() as client:
            def fails(requests, reason):
                with pytest.raises(grpc.RpcError) as e:
                    for _ in client.stream("Containers/Console", requests):
                        pass
                assert api.error_reason(e.value) == reason, e.value

            fails([{"resize": {}}], "START_MISSING")
            fails([{"start": {"name": name, "size": {"rows": 70000}}}], "SIZE_INVALID")
            fails([{"start": {"name": name}}, {"resize": {"rows": 1, "columns": 70000}}],
                  "SIZE_INVALID")
            fails([{"start": {"name": name}}, {"start": {"name": name}}], "REQUEST_INVALID")
            fails([{"start": {"name": name}}, {"input": "QUJD" * 30000}], "INPUT_TOO_LONG")
        web.ok("stop", "--timeout", "0", "acme/web")
        web.refused("console", "acme/web", match="is stopped; start it first")
        web.refused("console", "acme/none", match="there is no container")

    def test_frozen_and_suspended(self, web):
        web.ok("freeze", "acme/web")
        web.refused("console", "acme/web", match="frozen; thaw it first")
        web.ok("thaw", "acme/web")
        web.ok("tenant", "suspend", "acme", "--reason", "unpaid")
        web.refused("console", "acme/web", match="suspended")
        web.ok("tenant", "resume", "acme")


def test_login_on_systemd(daemon, debian_image):
    """The getty that systemd starts on a container's console: log in, work, resize, log out."""
    daemon.ok("image", "import", "debian12", debian_image, timeout=180)
    daemon.tenant(memory="1G", cpu="2", pids=500)
    daemon.launch("acme/deb", image="debian12")
    wait_until("it has a getty", lambda: "agetty" in daemon.exec(
        "acme/deb", "/bin/ps", "-eo", "args").out, 60, 0.3)
    daemon.sh("acme/deb", "echo root:sesame | chpasswd")
    with terminal(daemon, "console", "acme/deb", rows=31, columns=101) as t:
        t.expect("Connected")
        t.type("\n")
        t.expect("login: ", 30)
        t.type("root\n")
        t.expect("Password: ", 30)
        t.type("sesame\n")
        t.expect("# ", 30)
        t.type("tty; stty size; echo $((6*7))\n")
        t.expect("/dev/console", 30)
        t.expect("31 101", 30)
        t.expect("42\r\n", 30)
        t.resize(50, 132)
        wait_until("the size is there", lambda: "50 132" in daemon.sh(
            "acme/deb", "stty size </dev/console"))
        t.type("who\n")
        t.expect("console", 30)
        t.type(DETACH)
        assert t.wait() == 0
    logs = daemon.ok("logs", "acme/deb")
    assert "login: " in logs and "sesame" not in logs
    daemon.ok("kill", "acme/deb")
