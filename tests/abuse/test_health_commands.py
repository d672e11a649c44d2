"""Health checks that hang: so many commands of one tenant run at once, however many it has."""

import contextlib
import time

from croft_harness import wait_until

CONTAINERS = 12
# Of server/health.h.
AT_ONCE = 8
HANGS = "exec sleep 876543"
CHECK = ("--health-cmd", HANGS, "--health-interval", "1s", "--health-timeout", "5m")


def hanging(box, names):
    """How many of them have a command that hangs."""
    return sum(int(box.sh(name, "ps -o args | grep -c '^slee[p] 876543' || true"))
               for name in names)


def launch(box, tenant):
    box.tenant(tenant, cpu=2)
    names = [f"{tenant}/c{i}" for i in range(CONTAINERS)]
    for name in names:
        box.launch(name, options=CHECK)
    return names


def test_a_tenant_has_so_many_at_once(box):
    names = launch(box, "acme")
    wait_until("as many as may run do", lambda: hanging(box, names) == AT_ONCE, 60, 0.2)
    time.sleep(3)
    assert hanging(box, names) == AT_ONCE
    # Nobody else waits for them.
    box.tenant("other")
    box.launch("other/web", options=("--health-cmd", "echo well", "--health-interval", "1s"))
    wait_until("another tenant's is asked",
               lambda: box.info("other/web").get("health") == "HEALTHY", 60, 0.2)
    # The control: commands of exec are the caller's own, and one of each container runs.
    for name in names:
        box.ok("set", name, "--health-cmd", "none")
    wait_until("those are gone", lambda: hanging(box, names) == 0, 60, 0.2)
    with contextlib.ExitStack() as stack:
        for name in names:
            stack.enter_context(box.background_exec(name, "/bin/sh", "-c", HANGS))
        wait_until("all of them hang", lambda: hanging(box, names) == CONTAINERS, 60, 0.2)
