"""The command line at its edges: terminals, pipes whose other end goes, outputs that take nothing.

What the commands do is tested elsewhere; here it is how `croft` behaves as a program among others.
"""

import os
import signal
import subprocess

import pytest

import kernel
from croft_harness import PATIENCE, ROOT, program, run_program, wait_until
from terminal import terminal

MEGABYTE = 1 << 20


@pytest.fixture
def web(box):
    box.tenant()
    box.launch("acme/web")
    return box


class TestTerminal:
    def test_shell(self, web):
        """A prompt, a size, a new size, ctrl-c to the command only, and the shell's status."""
        with terminal(web, "shell", "acme/web", rows=30, columns=100) as t:
            t.expect("# ")
            assert t.is_raw()
            t.type("tty; stty size; echo $TERM\n")
            assert "/dev/pts/" in t.expect("30 100")
            t.expect("vt100")
            t.resize(40, 120)
            t.type("stty size\n")
            t.expect("40 120")
            t.type("sleep 1000; echo slept $?\n")
            wait_until("sleep runs", lambda: "sleep 1000" in web.sh("acme/web", "ps -o args"))
            t.type("\x03")
            t.expect("# ")
            t.type("exit 37\n")
            assert t.wait() == 37
            assert t.is_restored()

    def test_ctrl_z_is_the_commands(self, web):
        with terminal(web, "shell", "acme/web") as t:
            t.expect("# ")
            t.type("sleep 1000\n")
            wait_until("sleep runs", lambda: "sleep 1000" in web.sh("acme/web", "ps -o args"))
            t.type("\x1a")
            t.expect("Stopped")
            t.type("exit\nexit\n")
            t.wait()
            assert t.is_restored()

    def test_refusal_leaves_the_terminal_as_it_was(self, web):
        with terminal(web, "shell", "acme/none") as t:
            assert t.wait() == 125
            assert t.is_restored()
            assert "\n" not in t.expect("there is no container acme/none")

    @pytest.mark.parametrize("who", ["croftd", "supervisor", "container", "croft"])
    def test_whoever_dies_the_terminal_is_restored(self, web, who):
        with terminal(web, "shell", "acme/web") as t:
            t.expect("# ")
            assert t.is_raw()
            if who == "container":
                web.ok("kill", "acme/web")
                assert t.wait() == 137
            elif who == "croft":
                os.kill(t.child.pid, signal.SIGTERM)
                assert t.wait() == 143
            else:
                web.kill9(who)
                assert t.wait() == 125
                assert "croft: " in t.expect("\n")
                web.restart(who)
            assert t.is_restored()

    def test_leaves_in_the_middle_of_output(self, web):
        with terminal(web, "exec", "-t", "acme/web", "--", "yes") as t:
            t.expect("y\r\ny")
            # Both are there when it looks: room for output, and the signal.
            t.child.send_signal(signal.SIGSTOP)
            t.drain()
            t.child.send_signal(signal.SIGTERM)
            t.end_by(signal.SIGCONT)
            assert t.wait() == 143
            assert t.is_restored()

    def test_hangup_ends_the_command(self, web):
        with terminal(web, "exec", "acme/web", "--", "sleep", "1234") as t:
            wait_until("it runs", lambda: "sleep 1234" in web.sh("acme/web", "ps -o args"))
            os.kill(t.child.pid, signal.SIGHUP)
            assert t.wait() == 129
        wait_until("it has ended", lambda: "sleep 1234" not in web.sh("acme/web", "ps -o args"))

    def test_help_and_tables_fit(self, web):
        for words in (("--help",), ("launch", "--help"), ("host", "shutdown", "--help"),
                      ("usage", "show", "acme"), ("events",), ("tenant", "list"), ("list",),
                      ("host", "info"), ("info", "acme/web")):
            for line in web.ok(*words).splitlines():
                assert len(line) <= 80, (words, line)


class TestPipes:
    def test_hundred_megabytes_both_ways(self, web):
        data = os.urandom(MEGABYTE) * 100
        done = subprocess.run(
            [program("croft"), "--host", web.host, "exec", "acme/web", "--", "sh", "-c",
             "tee /dev/stderr"], input=data, capture_output=True, check=True,
            timeout=60 * PATIENCE)
        assert done.stdout == data and done.stderr == data

    @pytest.mark.parametrize("script", ["while :; do echo x; done", "cat /dev/zero"])
    def test_reader_that_goes(self, web, script):
        """Status as of any command in a pipeline, no word, and the command ends too."""
        with subprocess.Popen(
            [program("croft"), "--host", web.host, "exec", "acme/web", "--", "sh", "-c",
             f": marked; {script}"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as child:
            assert child.stdout.read(2)
            child.stdout.close()
            assert child.wait(10 * PATIENCE) == 128 + signal.SIGPIPE
            assert child.stderr.read() == b""
        wait_until("it has ended", lambda: "marked" not in web.sh("acme/web", "ps -o args"))

    def test_lists_end_by_sigpipe(self, web):
        ready, far = os.pipe()
        os.close(ready)
        with os.fdopen(far, "wb") as out:
            done = subprocess.run([program("croft"), "--host", web.host, "list"], stdout=out,
                                  stderr=subprocess.PIPE, check=False, restore_signals=True)
        assert done.returncode == -signal.SIGPIPE and not done.stderr

    @pytest.mark.parametrize("words", [("logs", "-f", "acme/web"), ("events", "-f")], ids=" ".join)
    def test_followers_end_with_their_reader(self, box, words):
        """At once, though nothing more is written."""
        box.tenant()
        box.launch("acme/web", init=["/bin/sh", "-c", "echo word; exec sleep 1000"])
        with subprocess.Popen([program("croft"), "--host", box.host, *words],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
            assert child.stdout.readline()
            child.stdout.close()
            assert child.wait(10 * PATIENCE) == -signal.SIGPIPE
            assert child.stderr.read() == b""

    def test_followed_output_comes_at_once(self, box):
        box.tenant()
        box.launch("acme/web", init=["/bin/sh", "-c", "mkfifo /f; while :; do cat /f; done"])
        with subprocess.Popen([program("croft"), "--host", box.host, "logs", "-f", "acme/web"],
                              stdout=subprocess.PIPE) as child:
            for text in ("one", "two"):
                box.sh("acme/web", f"until [ -p /f ]; do sleep 0.01; done; echo {text} >/f")
                assert child.stdout.readline() == f"{text}\n".encode()
            child.terminate()
            assert child.wait(10 * PATIENCE) == -signal.SIGTERM

    @pytest.mark.parametrize("name", ["HUP", "INT", "TERM", "USR1", "USR2", "QUIT"])
    def test_signals_reach_the_command(self, web, name):
        script = f"trap 'echo got; exit 5' {name}; echo ready; while :; do sleep 0.05; done"
        with subprocess.Popen(
            [program("croft"), "--host", web.host, "exec", "-T", "acme/web", "--", "sh", "-c",
             script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        ) as child:
            assert child.stdout.readline() == b"ready\n"
            child.send_signal(getattr(signal, f"SIG{name}"))
            assert child.stdout.readline() == b"got\n"
            assert child.wait(10 * PATIENCE) == 5

    @pytest.mark.parametrize("name,number", [("HUP", 1), ("SEGV", 11), ("PIPE", 13)])
    def test_killed_by_a_signal(self, web, name, number):
        assert web.exec("acme/web", "sh", "-c", f"kill -{name} $$").rc == 128 + number

    @pytest.mark.parametrize("user", ["65535", "65536", "4294967295", "99999999999"])
    def test_user_out_of_range(self, web, user):
        done = web.exec("acme/web", "true", options=["-u", user])
        assert done.rc == 125 and "0 to 65534" in done.err, done


COMMANDS = [("list",), ("-o", "json", "list"), ("-o", "csv", "list"), ("info", "acme/web"),
            ("usage", "show", "acme"), ("usage", "export"), ("events",), ("logs", "acme/web"),
            ("version",), ("--help",), ("launch", "--help"), ("completion", "bash"),
            ("policy", "show", "default"), ("tenant", "set", "acme", "--pids", "99"),
            ("exec", "acme/web", "--", "echo", "word")]


class TestOutputThatTakesNothing:
    @pytest.fixture
    def web(self, box):
        box.tenant()
        box.launch("acme/web", init=["/bin/sh", "-c", "echo word; exec sleep 1000"])
        wait_until("it has written", lambda: box.ok("logs", "acme/web"))
        return box

    @staticmethod
    def run(web, words, redirection):
        line = ["sh", "-c", f'exec "$@" {redirection}', "sh", program("croft"), "--host", web.host]
        return run_program([*line, *words])

    @pytest.mark.parametrize("redirection", [">/dev/full", ">&-"])
    @pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
    def test_is_an_error(self, web, words, redirection):
        done = self.run(web, words, redirection)
        assert done.rc == (125 if words[0] == "exec" else 1), done
        assert len(done.err.splitlines()) == 1 and done.err.startswith("croft: "), done

    def test_descriptors_that_are_closed_are_not_reused(self, web):
        """A connection must never become what the command reads, writes or complains to."""
        done = self.run(web, ("list",), "<&- 2>&-")
        assert done.rc == 0 and "acme/web" in done.out
        done = self.run(web, ("exec", "acme/web", "--", "sh", "-c", "cat; echo word"), "<&- 2>&-")
        assert (done.rc, done.out) == (0, "word\n")
        assert self.run(web, ("info", "acme/none"), "<&- >&- 2>&-").rc == 1


def tour():
    """The commands of README.md's tour, without their comments."""
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
        text = f.read().partition("## A tour\n")[2].partition("## ")[0]
    return [line.partition("  #")[0].strip() for line in text.splitlines()
            if line.startswith("    croft ")]


def test_readme_tour(daemon, tmp_path):
    """Each line does what it says, on a fresh instance."""
    lines = tour()
    assert len(lines) >= 8
    env = {**os.environ, "CROFT_HOST": daemon.host,
           "PATH": os.path.dirname(program("croft")) + ":" + os.environ["PATH"]}
    for line in lines:
        done = subprocess.run(["sh", "-c", line], env=env, input=b"exit\n", check=False,
                              cwd=tmp_path, capture_output=True, timeout=60 * PATIENCE)
        assert done.returncode == 0, (line, done)
    wait_until("both daemons have ended",
               lambda: not any(map(kernel.is_alive, daemon.pids.values())))
    daemon.pids = {}


def test_a_croftd_that_is_not_there(daemon):
    for host in ("unix:/nonexistent/sock", "tcp:127.0.0.1:1"):
        done = run_program([program("croft"), "--host", host, "list"])
        assert done.rc == 1 and "running croftd as root" in done.err
