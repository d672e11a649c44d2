"""Under a hold for abuse nothing ends files of the tenant by itself: they may be evidence."""

from croft_harness import wait_until
from test_snapshot_schedule import names


def suspend(box):
    box.ok("tenant", "suspend", "acme", "--type", "abuse")


def resume(box):
    box.ok("tenant", "resume", "acme", "--type", "abuse")


def test_snapshots_stay_until_it_is_over(box):
    box.tenant()
    box.tenant("calm")
    for name in ("acme/web", "calm/web"):
        box.ok("create", "busybox", name)
    box.ok("snapshot", "create", "acme/web", "brief", "--expire", "2s")
    suspend(box)
    # One of somebody whom nobody holds tells when it is due.
    box.ok("snapshot", "create", "calm/web", "brief", "--expire", "2s")
    wait_until("that of another has expired", lambda: not names(box, "calm/web"), 30)
    assert names(box) == ["brief"]
    resume(box)
    wait_until("it has gone", lambda: not names(box), 10)
