"""What a hold has frozen or put off goes on after it, whatever fails meanwhile."""

import contextlib
import resource

import pytest

from croft_harness import wait_until
from test_holds import counter, holds, is_still, nothing_committed, resume, suspend, told


@contextlib.contextmanager
def starved(daemon):
    """The supervisor has no descriptor left for anything, so it can neither freeze nor thaw."""
    pid = daemon.pid("supervisor")
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


class TestThaw:
    """The hold is gone, and its thaw has failed."""

    def test_is_tried_again(self, box):
        box.tenant()
        counter(box, "acme/web")
        suspend(box, "abuse")
        with starved(box):
            box.refused("tenant", "resume", "acme", "--type", "abuse", match="goes on trying")
            assert holds(box) == [] and is_still(box)
        wait_until("it is thawed", lambda: not is_still(box), 30)
        assert box.exec("acme/web", "/bin/true").rc == 0

    def test_is_done_by_the_next_resume(self, box):
        box.tenant()
        counter(box, "acme/web")
        suspend(box, "abuse")
        with starved(box):
            for _ in range(4):
                box.refused("tenant", "resume", "acme", "--type", "abuse", match="still frozen")
        # The timer waits for a while by now.
        resume(box, "abuse")
        assert not is_still(box)
        assert box.exec("acme/web", "/bin/true").rc == 0

    def test_is_not_told_done_to_the_same_request(self, box):
        """Though that it is lifted, and its reply with it, is on record."""
        import grpc
        box.tenant()
        counter(box, "acme/web")
        suspend(box, "abuse")
        with box.api() as api:
            request = {"name": "tenants/acme", "type": "ABUSE", "request_id": "one"}
            with starved(box):
                for _ in range(3):
                    with pytest.raises(grpc.RpcError) as e:
                        api.call("Tenants/ResumeTenant", request)
                    assert "still frozen" in e.value.details()
            api.call("Tenants/ResumeTenant", request)
            assert not is_still(box)

    def test_of_who_is_held_again_waits_for_that(self, box):
        box.tenant()
        counter(box, "acme/web")
        suspend(box, "abuse")
        with starved(box):
            box.refused("tenant", "resume", "acme", "--type", "abuse")
        # For longer than until the next try.
        suspend(box, "billing", "--grace", "3s")
        box.wait_state("acme/web", "STOPPED", 30)
        assert is_still(box)
        resume(box, "billing")
        box.wait_state("acme/web", "RUNNING", 30)
        assert box.exec("acme/web", "/bin/true").rc == 0


def test_a_suspension_that_is_not_recorded_holds_nothing_up(box):
    """What was due meanwhile was put off for it."""
    box.tenant()
    box.ok("launch", "busybox", "acme/web", "--restart", "always", "--", "/bin/sh", "-c",
           "[ -e /once ] || { >/once; exit 1; }; exec sleep 1000")
    wait_until("it is due", lambda: told(box, "container.restart_due"))
    with nothing_committed(box):
        box.refused("tenant", "suspend", "acme", "--type", "abuse")
    box.wait_state("acme/web", "RUNNING", 30)
    assert holds(box) == []
