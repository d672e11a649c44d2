"""A tenant goes for the process that enters its container to execute a command: until it has
executed, that is the supervisor's."""

import subprocess

import pytest

from croft_harness import program, wait_until

# Every process but pid 1 and this shell is stopped as soon as it is seen.
STOPPER = """while :; do for p in /proc/[0-9]*; do n=${p#/proc/}
case $n in 1|$$) ;; *) kill -STOP $n 2>/dev/null;; esac; done; done"""

# Prints what others' files say of the host; by builtins alone, as only speed finds anything.
SPY = """while :; do for p in /proc/[0-9]*; do
[ $p = /proc/$$ ] && continue
{ read -r l <$p/cmdline; } 2>/dev/null && case $l in */*croft*|*--state*) echo "$l";; esac
while read -r l; do case $l in *:/*?) echo "$l";; esac; done 2>/dev/null <$p/cgroup
done; done"""


@pytest.fixture
def web(box):
    box.tenant("acme")
    box.launch("acme/web")
    return box


def start_exec(daemon, name):
    return subprocess.Popen(
        [program("croft"), "--host", daemon.host, "exec", "-T", name, "--", "/bin/true"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def stopped_in(daemon, name):
    inside = daemon.exec(name, "/bin/sh", "-c", "grep -h ^State: /proc/[0-9]*/status")
    return inside.out.count("T (stopped)")


def test_stopped_commands_hold_up_nobody_else(web):
    """One tenant stops every command before it executes; another starts a container meanwhile."""
    web.tenant("other")
    with web.background_exec("acme/web", "/bin/sh", "-c", STOPPER):
        started = [start_exec(web, "acme/web") for _ in range(80)]
        try:
            pid = web.init_pid("acme/web")
            wait_until("a command is stopped", lambda: stopped_children(pid), 20)
            web.launch("other/db")
            assert web.sh("other/db", "echo served").strip() == "served"
            # The control: they are held up.
            assert sum(child.poll() is None for child in started) > 32
        finally:
            for child in started:
                child.kill()
                child.wait()
    web.ok("kill", "acme/web")


def stopped_children(init_pid):
    """True when the container of this init has a stopped process; read from the host."""
    done = subprocess.run(["/bin/ps", "-eo", "pidns,stat"], capture_output=True, text=True,
                          check=True)
    mine = subprocess.run(["/bin/ps", "-o", "pidns=", "-p", str(init_pid)], capture_output=True,
                          text=True, check=True).stdout.strip()
    return any(line.split()[0] == mine and line.split()[1].startswith("T")
               for line in done.stdout.splitlines()[1:])


def test_a_joining_process_tells_nothing_of_the_host(web):
    with web.background_exec("acme/web", "/bin/sh", "-c", SPY) as spy:
        for _ in range(300):
            assert web.exec("acme/web", "/bin/true").rc == 0
        spy.terminate()
        seen = spy.communicate()[0].decode()
    assert not seen, seen[:2000]


def test_a_planted_etc_shows_nothing_of_the_host(web):
    """/etc as a link through a descriptor that the joining process may still hold."""
    for fd in range(3, 70):
        web.sh("acme/web", f"rm -rf /etc; ln -s /proc/self/fd/{fd}/../../../../../../../etc /etc")
        result = web.croft("exec", "-T", "-u", "daemon", "acme/web", "--", "/bin/true")
        assert result.rc == 125 and "daemon" in result.err, (fd, result)


def test_croft_init_is_no_file_of_the_host(box):
    box.tenant("acme")
    box.launch("acme/web", init=["/bin/sleep", "100000"], options=["--with-init"])
    inside = box.sh("acme/web", "readlink /proc/1/exe; cat /proc/1/maps")
    assert program("croft").rsplit("/", 1)[0] not in inside, inside
    assert box.exec("acme/web", "/bin/sh", "-c", "echo x >/proc/1/exe").rc != 0


def test_siblings_of_a_command_do_not_outlive_the_container(web):
    """A command is the supervisor's child, and what it clones as its sibling too. Not reaped, such
    a zombie would keep the container's init from ending, for ever."""
    web.put_probe("acme/web")
    for _ in range(5):
        result = web.exec("acme/web", "/probe", "call", "56", str(0x8000 | 17), "0", "0", "0", "0")
        assert result.rc == 0 and result.out.startswith(("0 0", "1", "2", "3", "4", "5", "6",
                                                         "7", "8", "9")), result
    web.ok("kill", "acme/web")
    web.wait_state("acme/web", "STOPPED")
