"""What is done for a tenant outside its containers (exports, imports) is on its bill, as the
tenant's own: with it, its containers' records are what the tenant's directory counted."""

import contextlib

import pytest

from croft_harness import wait_until
from test_holds import database, nothing_committed
from test_ledger import age, check_whole, everything, stopped

ACME = "tenants/acme"
WORK = {"cpu.used", "cpu.throttled", "memory.used", "memory.peak"}
ROUNDING = 20  # microseconds: each directory's counter is rounded down for itself


@pytest.fixture
def box(fresh_box):
    """The ledger keeps what was deleted: each test needs one of its own."""
    return fresh_box


def used(found, resource=None):
    """CPU time of one resource, or of all that is the tenant's."""
    return sum(int(r["quantity"]) for r in found if r["meter"] == "cpu.used" and
               r["tenant"] == "acme" and resource in (None, r["resource"]))


def of_tenant(found, meter):
    """What its directory counted."""
    return [int(r["quantity"]) for r in found if r["meter"] == f"tenant.{meter}"]


def work_out_and_in(box, path, name):
    """Both on the tenant's behalf: a worker packs the files, another takes them in."""
    box.ok("export", "acme/web", str(path), timeout=120)
    box.ok("import", f"acme/{name}", str(path), timeout=300)


def stop(box, name):
    box.ok("kill", name)
    box.wait_state(name, "STOPPED", 60)


def check_sums(box):
    """Nothing runs: all that the directories counted is on record. Returns what the work was."""
    def agree():
        leaf, whole = box.cgroup("acme/_croft").cpu_usec(), box.cgroup("acme").cpu_usec()
        found = everything(box)
        return abs(used(found, ACME) - leaf) <= 1 and abs(used(found) - whole) <= ROUNDING and sum(
            of_tenant(found, "cpu.used")) == whole and used(found, ACME)
    return wait_until("containers and work are what the tenant's directory counted", agree, 90)


def test_containers_and_it_are_the_tenants_directory(box, tmp_path):
    box.tenant()
    box.launch("acme/web")
    # Who never worked has no record of it.
    assert used(everything(box), ACME) == 0
    box.sh("acme/web", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo x >/file")
    stop(box, "acme/web")
    work_out_and_in(box, tmp_path / "web.tar", "again")
    first = check_sums(box)
    assert first > 0
    # Killed, and both of them: nothing twice, and more comes to it.
    for who in (("croftd",), ("croftd", "supervisor")):
        for daemon in who:
            box.kill9(daemon)
        box.restart(*who)
        assert check_sums(box) == first
    for daemon in ("croftd", "supervisor"):
        box.kill9(daemon)
    box.restart("croftd", "supervisor")
    work_out_and_in(box, tmp_path / "web2.tar", "third")
    second = check_sums(box)
    assert second > first
    mine = [r for r in everything(box) if r["resource"] == ACME and r["meter"] in WORK]
    assert {r["meter"] for r in mine} >= {"cpu.used", "memory.peak"}
    assert len({r["run_id"] for r in mine}) == 1 and {r["resource_uid"] for r in mine} == {""}
    cgroup = box.cgroup("acme")
    assert max(of_tenant(everything(box), "memory.peak")) == cgroup.memory_peak()
    peak = cgroup.pids_peak()
    if peak is not None:
        assert max(of_tenant(everything(box), "pids.peak")) == peak
    # With the tenant it ends, and stays on the bill: what its containers used to the last, too,
    # which no sweep has seen.
    box.launch("acme/last")
    box.sh("acme/last", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done")
    box.ok("tenant", "delete", "--force", "acme", timeout=120)
    wait_until("it has ended", lambda: all(
        r["final"] == "true" for r in everything(box) if r["meter"].endswith("cpu.used")), 60)
    found = everything(box)
    assert used(found, ACME) >= second
    assert abs(used(found) - sum(of_tenant(found, "cpu.used"))) <= ROUNDING


def test_what_croftd_did_not_live_to_see_is_counted(box, tmp_path):
    """It is killed before it has a sample of the first work."""
    box.tenant()
    box.launch("acme/web")
    stop(box, "acme/web")
    box.ok("export", "acme/web", str(tmp_path / "web.tar"), timeout=120)
    box.kill9("croftd")
    leaf = box.cgroup("acme/_croft").cpu_usec()
    assert leaf > 0
    box.restart("croftd")
    assert check_sums(box) >= leaf - 1


def test_it_is_proven(box, tmp_path):
    box.tenant()
    box.launch("acme/web")
    stop(box, "acme/web")
    work_out_and_in(box, tmp_path / "web.tar", "again")
    check_sums(box)
    # Its hour is over.
    with stopped(box) as state:
        age(state)
    wait_until("its hour is closed", lambda: any(
        r["finalized_at"] for r in everything(box)
        if r["resource"] == ACME and r["meter"] == "cpu.used"), 60)
    check_whole(box)


def test_a_deletion_that_is_not_recorded_ends_its_record_later(box, tmp_path):
    """The tenant's directory is gone by then, and nobody else would end what was counted there."""
    box.tenant()
    box.launch("acme/web")
    work_out_and_in(box, tmp_path / "web.tar", "again")
    uid = box.json("tenant", "show", "acme")["uid"]

    def sampled():
        return database(box, "SELECT count(*) FROM samples JOIN runs ON key = run"
                        " WHERE tenant_uid = ? AND container_uid = ''", uid)[0][0]

    wait_until("the work is on record", lambda: used(everything(box), ACME), 60)
    for name in ("acme/web", "acme/again"):
        box.ok("delete", "--force", name)
    before = sampled()
    with contextlib.ExitStack() as stack:
        with box.held("supervisor"):
            deletion = stack.enter_context(box.background("tenant", "delete", "acme"))
            wait_until("all but its directory is gone", lambda: sampled() > before)
            stack.enter_context(nothing_committed(box))
        assert deletion.wait(60) == 1
    box.ok("tenant", "delete", "acme")
    assert not database(box, "SELECT * FROM runs WHERE tenant_uid = ? AND end_wall IS NULL", uid)
