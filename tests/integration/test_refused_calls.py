"""Calls that look for a way out of a container: refused as before, counted, and told. What becomes
of that when daemons die, and croft-refuser, which answers them."""

import contextlib
import json
import os
import signal
import struct

import pytest

import kernel
from croft_harness import wait_until
from scrapes import scrape

# Numbers of x86-64.
INIT_MODULE, KEXEC_LOAD, OPEN_BY_HANDLE_AT, BPF, USERFAULTFD = 175, 246, 304, 321, 323

# An init that runs what it is told: what `croft exec` runs is not under its policy's listener.
INIT = ("/bin/sh", "-c", "[ -p /do ] || mkfifo /do; while :; do sh -c \"$(cat /do)\"; done")

# Of event_pace.h: so many at once; the last one is the run's.
BURST = 6

METRIC = "croft_container_seccomp_refused_total"

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of x86-64")


def inside(box, name, script, seconds=30):
    """What a descendant of init says, when it has ended."""
    box.sh(name, "until [ -p /do ]; do sleep 0.05; done; "
           f"rm -f /out /ended; echo '({script}) >/out 2>&1; : >/ended' >/do")
    return wait_until("it has run", lambda: box.exec(
        name, "/bin/sh", "-c", "[ -e /ended ] && cat /out || echo").out.strip(), seconds)


def attempt(box, name, *numbers, times=1):
    """The errno of so many calls, which is one."""
    script = " ".join(f"/probe call {number};" for number in numbers)
    out = inside(box, name, f"i=0; while [ $i -lt {times} ]; do {script} i=$((i+1)); done")
    (error,) = {line.split()[1] for line in out.splitlines()}
    return error


def told(box, name):
    """(count, total, calls) of each event."""
    found = [json.loads(e["details_json"]) for e in box.events()
             if e["type"] == "container.seccomp_refused" and
             e["resource"] == "tenants/{}/containers/{}".format(*name.split("/"))]
    return [(d["count"], d["total"], d["calls"]) for d in found]


def counted(box, name):
    """What croft-refuser has counted of its run (struct refused_count)."""
    with open(f"{box.run}/refused/{name.replace('/', '.')}", "rb") as f:
        return struct.unpack("=QQ", f.read())[0]


def refuser_of(box):
    """The pid of an instance's croft-refuser; None: it has none."""
    pids = kernel.Cgroup(box.parent, "_views", "_refused").processes()
    return min(pids, default=None)


@pytest.fixture
def telling(bare_daemon):
    bare_daemon.metrics = f"unix:{bare_daemon.base}/metrics.sock"
    bare_daemon.start("--metrics", bare_daemon.metrics)
    bare_daemon.busybox()
    bare_daemon.tenant()
    return bare_daemon


def launch(box, name):
    box.launch(name, init=INIT)
    box.put_probe(name)


@pytest.mark.vm
def test_they_are_told(telling):
    box = telling
    box.tenant("calm")
    for name in ("acme/web", "acme/short", "calm/web"):
        launch(box, name)
    assert attempt(box, "acme/web", INIT_MODULE, KEXEC_LOAD, times=2) == "EPERM"
    refuser = refuser_of(box)
    wait_until("it is told", lambda: told(box, "acme/web"), 60)
    # What a distribution tries when it starts is refused as well, and tells nothing; nor does what
    # is not init's.
    assert attempt(box, "acme/web", BPF) == "EPERM"
    assert box.syscall("acme/web", INIT_MODULE) == "EPERM"
    assert counted(box, "acme/web") == 4
    # The last ones of a run are in its final counters, without a sweep.
    assert attempt(box, "acme/short", USERFAULTFD, times=2) == "EPERM"
    box.ok("kill", "acme/short")
    box.wait_state("acme/short", "STOPPED")
    assert sum(count for count, _, _ in told(box, "acme/short")) == 2
    assert told(box, "acme/short")[-1][1:] == (2, "userfaultfd")
    assert refuser_of(box) == refuser
    # Many of them are a case, of the tenant that it is about.
    assert attempt(box, "acme/web", OPEN_BY_HANDLE_AT, times=30) == "EPERM"
    wait_until("it is a case", lambda: box.json_lines("abuse", "list"), 60)
    assert {c["rule"] for c in box.json_lines("abuse", "list")} == {"escape"}
    wait_until("all are in /metrics", lambda: scrape(box.metrics).get(
        METRIC, tenant="acme", container="web") == 34, 30)
    page = scrape(box.metrics)
    assert page.get(METRIC, tenant="calm", container="web") == 0
    box.ok("kill", "acme/web")
    box.wait_state("acme/web", "STOPPED")
    counts = [count for count, _, _ in told(box, "acme/web")]
    assert sum(counts) == 34 and len(counts) <= BURST + 1, counts
    assert told(box, "acme/web")[-1][1:] == (34, "init_module, kexec_load, open_by_handle_at")
    box.ok("tenant", "bind", "acme", "4321")
    box.ok("tenant", "bind", "calm", "4322")
    acme, calm = ({e["type"] for e in map(json.loads, box.ok("-o", "json", "events", uid=uid)
                   .splitlines())} for uid in (4321, 4322))
    assert {"container.seccomp_refused", "abuse.detected"} <= acme
    assert not calm & {"container.seccomp_refused", "abuse.detected"}


def given_up(box):
    """Kills the one that there is; whether the supervisor has had enough of it."""
    pid = refuser_of(box)
    with contextlib.suppress(ProcessLookupError):
        if pid:
            os.kill(pid, signal.SIGKILL)
    return "refused calls are not told" in box.read_log()


def back(box, name):
    wait_until("its supervisor is back", lambda: box.exec(name, "/bin/true").rc == 0, 30)


def test_whoever_dies(telling):
    """Each alone, and nothing is lost or told twice. All who know of a listener, and it is gone."""
    box = telling
    launch(box, "acme/web")
    assert attempt(box, "acme/web", INIT_MODULE) == "EPERM"
    first = refuser_of(box)
    wait_until("it is told", lambda: told(box, "acme/web"))
    box.kill9("croftd")
    box.restart("croftd")
    os.kill(first, signal.SIGKILL)
    assert attempt(box, "acme/web", INIT_MODULE) == "EPERM"
    second = wait_until("there is another", lambda: refuser_of(box))
    assert second != first and counted(box, "acme/web") == 2
    # It outlives the supervisor, and answers while there is none.
    box.sh("acme/web", "echo 'until [ -e /go ]; do sleep 0.1; done; /probe call 175' >/do")
    box.sh("acme/web", "(sleep 0.3; : >/go) &")
    box.kill9("supervisor")
    wait_until("it answers", lambda: counted(box, "acme/web") == 3)
    box.restart("supervisor")
    back(box, "acme/web")
    launch(box, "acme/other")
    assert attempt(box, "acme/other", INIT_MODULE) == "EPERM"
    assert refuser_of(box) == second
    # Nobody is left who knows of either's: their calls say so, until they are started anew.
    box.kill9("supervisor")
    os.kill(second, signal.SIGKILL)
    box.restart("supervisor")
    back(box, "acme/web")
    assert attempt(box, "acme/web", INIT_MODULE) == "ENOSYS"
    box.ok("kill", "acme/web")
    box.wait_state("acme/web", "STOPPED")
    assert [n for n, _, _ in told(box, "acme/web")] in ([1, 1, 1], [1, 2])
    box.ok("start", "acme/web")
    assert attempt(box, "acme/web", INIT_MODULE) == "EPERM"
    # One that will not run: nobody waits for it, and what starts later is refused by its policy.
    wait_until("it is given up", lambda: given_up(box), 60)
    assert attempt(box, "acme/web", INIT_MODULE) == "ENOSYS"
    launch(box, "acme/later")
    assert attempt(box, "acme/later", INIT_MODULE) == "EPERM"
    assert refuser_of(box) is None


def running(box, name):
    return box.sh(name, "systemctl is-system-running || :").strip() == "running"


def test_a_distribution_tells_nothing(telling, debian_image):
    box = telling
    box.ok("image", "import", "debian", debian_image, timeout=180)
    box.launch("acme/deb", image="debian")
    wait_until("systemd has started all", lambda: running(box, "acme/deb"), 60)
    box.sh("acme/deb", "systemd-run --wait --quiet /bin/sh -c "
           "'apt-get check && dpkg --audit && loginctl && ip link'", timeout=60)
    with open(f"{box.run}/refused/acme.deb", "rb") as f:
        assert f.read() == bytes(16)
    box.ok("stop", "acme/deb", timeout=60)
    assert not told(box, "acme/deb")
