"""Tell-tale calls without end: they are told a few times, hold up nobody but who makes them, and
whoever answers them is not kept busy by it."""

import time

import pytest

import kernel
from croft_harness import wait_until
from test_refused_calls import INIT_MODULE, attempt, counted, launch, refuser_of, told

# Of answer.h.
BURST, A_SECOND = 100, 50


@pytest.fixture
def flooded(bare_daemon):
    """Two processes of acme/web call and call."""
    box = bare_daemon
    box.start()
    box.busybox()
    box.tenant()
    box.tenant("other")
    launch(box, "acme/web")
    launch(box, "acme/near")
    launch(box, "other/web")
    began = time.monotonic()
    box.sh("acme/web", f"echo '/probe storm 3600 {INIT_MODULE} & /probe storm 3600 {INIT_MODULE}"
           " & wait' >/do")
    return box, began


def test_calls_without_end(flooded):
    box, began = flooded
    # The control: who is not under a listener, as none of what `croft exec` runs is.
    free = int(box.exec("acme/web", "/probe", "storm", "1", str(INIT_MODULE)).out.split()[1])
    assert free > 10 * (BURST + A_SECOND)
    wait_until("the burst is over", lambda: counted(box, "acme/web") >= BURST, 60)
    # Neighbours are served, and answered.
    for name in ("acme/near", "other/web"):
        assert attempt(box, name, INIT_MODULE) == "EPERM"
    # It can be frozen, thawed and stopped while its calls wait.
    box.ok("freeze", "acme/web")
    box.wait_state("acme/web", "FROZEN")
    refuser = kernel.Cgroup(box.parent, "_views", "_refused")
    assert refuser_of(box)
    box.ok("thaw", "acme/web")
    count = counted(box, "acme/web")
    box.ok("tenant", "suspend", "acme", "--reason", "test")
    box.ok("tenant", "resume", "acme")
    box.ok("stop", "--timeout", "1", "acme/web", timeout=60)
    elapsed = time.monotonic() - began
    assert BURST <= count <= BURST + A_SECOND * elapsed
    assert refuser.cpu_usec() < (0.5 + elapsed * 0.3) * 1e6
    events = told(box, "acme/web")
    assert len(events) <= 7 and sum(e[0] for e in events) == events[-1][1] >= count
