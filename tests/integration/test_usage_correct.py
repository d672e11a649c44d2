"""An operator corrects a closed hour: a record behind the others, that every way out shows and
every sum has, and that nothing of what was written before is changed for.
"""

import csv
import decimal
import io
import json
import re
import sqlite3
import threading
import time

import pytest

from croft_harness import wait_until
from test_ledger import (
    age, burn, check_chain, closed, everything, records, stopped, total)
from test_usage_focus import bill, card, check_rules, price, tags

REASON = 'host 7 was slow, "INC-12"'


@pytest.fixture
def box(fresh_box):
    """A container that has run, in an hour that is closed."""
    fresh_box.tenant(cpu="1")
    fresh_box.launch("acme/web", memory="64M")
    burn(fresh_box)
    fresh_box.ok("kill", "acme/web")
    fresh_box.wait_state("acme/web", "STOPPED")
    with stopped(fresh_box) as state:
        age(state)
    closed(fresh_box)
    return fresh_box


def hour_of(box):
    """In which the container ran. It may have run across an hour's edge: then the last."""
    return max(r["window_start"] for r in records(box) if r["meter"] == "cpu.used"
               and r["kind"] == "usage")


def correct(box, *args, meter="cpu.used", **kwargs):
    return box.ok("usage", "correct", "acme/web", meter, "--hour", hour_of(box), "--reason", REASON,
                  *args, **kwargs)


def sums(box, name="acme"):
    """By meter, of this calendar month and the one before: a test may run when one ends."""
    out = {}
    for month in box.json_lines("usage", "show", name, "--months", "2"):
        for s in month.get("sums", ()):
            quantity, corrected = out.get(s["meter"], (0, 0))
            if s["aggregation"] == "max":
                continue
            out[s["meter"]] = (quantity + int(s["quantity"]),
                               corrected + int(s.get("corrected", 0)))
    return out


def proof(box):
    found, = box.json_lines("usage", "verify", "acme")
    assert not found.get("problem_count"), found
    return found


def ours(box):
    """Operators' corrections."""
    return [r for r in everything(box) if r["reason"].startswith("operator: ")]


class TestOnTheRecord:
    def test_it_is_a_record_behind_the_others(self, box):
        before, written = sums(box), everything(box)
        used = total(records(box))
        text = correct(box, "--subtract", "1000")
        correct(box, "--add", "10")
        after = everything(box)
        # What was written is there as it was, but for what goes on.
        done = [r for r in written if r["finalized_at"]]
        assert done and [r for r in after if r["record_id"] in {d["record_id"] for d in done}] == (
            done)
        less, more = ours(box)
        assert (less["quantity"], more["quantity"]) == ("-1000", "10")
        named = next(r for r in written if r["record_id"] == less["corrects"])
        for same in ("resource", "resource_uid", "run_id", "meter", "unit", "window_start",
                     "window_end", "plan", "account_ref", "boot_id"):
            assert less[same] == named[same], same
        assert named["meter"] == "cpu.used" and named["window_start"] == hour_of(box)
        assert less["kind"] == "correction" and less["reason"] == f"operator: {REASON}"
        assert less["record_id"] in text and named["record_id"] in text
        assert (less["revision"], more["revision"]) == ("1", "2")
        assert less["final"] == "true" and less["finalized_at"] > named["finalized_at"]
        assert (less["samples"], less["counter_start"]) == ("0", "0")
        # In every sum, and only there: what the kernel counted is what it was.
        assert total(records(box)) == used - 990
        now = sums(box)
        assert now["cpu.used"] == (before["cpu.used"][0] - 990, -990)
        assert {m: v for m, v in now.items() if m not in ("cpu.used",)
                and not m.startswith(("tenant.", "disk.", "ipv4."))} == {
                    m: v for m, v in before.items() if m not in ("cpu.used",)
                    and not m.startswith(("tenant.", "disk.", "ipv4."))}
        assert sums(box, "acme/web")["cpu.used"] == now["cpu.used"]
        assert box.usage("acme/web")["cpu_usec"] == used
        assert "corrected by operators" in box.ok("usage", "show", "acme", "--months", "2")
        totals = list(csv.DictReader(io.StringIO(box.ok("-o", "csv", "usage", "totals"))))
        row, = (r for r in totals if r["meter"] == "cpu.used")
        assert (int(row["quantity"]), row["corrected"]) == now["cpu.used"][:1] + ("-990",)
        assert "CORRECTED" in box.ok("usage", "totals")
        # The chain goes on through it, and is proven; there are no samples to compute it of.
        found = proof(box)
        assert found["records"] - found["recomputed"] == 2
        wait_until("the chain is as long as its proof", lambda: check_chain(
            everything(box)) == proof(box)["head"], 60)
        box.kill9("croftd")
        box.restart("croftd")
        assert ours(box) == [less, more]
        proof(box)

    def test_every_form_has_it(self, box, tmp_path):
        cursor = tmp_path / "cursor"
        box.ok("usage", "export", "--new-since", str(cursor), "--format", "jsonl")
        used = total(records(box))
        correct(box, "--subtract", "1500")
        row, = ours(box)
        line, = (json.loads(t) for t in box.ok(
            "usage", "export", "--new-since", str(cursor), "--format", "jsonl").splitlines()
            if "operator: " in t)
        assert line["quantity"] == "-1500" and line["kind"] == "correction"
        assert line["recordId"] == row["record_id"] and line["reason"] == f"operator: {REASON}"
        event, = (e for e in map(json.loads, box.ok(
            "usage", "export", "--format", "cloudevents").splitlines())
            if e["id"] == row["record_id"])
        assert event["type"] == "croft.usage.cpu.used.v1"
        assert event["data"] == line
        # As a bill: in the row of what it corrects while the month goes on; after it, when it may
        # have been invoiced, in one of its own.
        rates = card(**{"*": {"prices": {"cpu.used": price("0.01", "1000", "Core-Hours"),
                                         "running": price("0.01", "1000", "Core-Hours")}}})
        rows = bill(box, tmp_path, rates)
        check_rules(rows)
        rows = [r for r in rows if tags(r).get("croft/meter") == "cpu.used"]
        quantities = [int(r["ConsumedQuantity"]) for r in rows]
        if row["window_start"][:7] == row["finalized_at"][:7]:
            assert quantities == [used - 1500] and not rows[0]["ChargeClass"]
        else:
            assert quantities == [used, -1500]
            assert (rows[1]["ChargeClass"], rows[1]["BilledCost"]) == ("Correction", "-0.015")
        assert REASON in rows[-1]["ChargeDescription"]
        assert sum(decimal.Decimal(r["BilledCost"]) for r in rows) == decimal.Decimal(
            used - 1500) / 10**5
        # What was all taken off costs nothing, and what is included is taken first.
        correct(box, "--subtract", str(used - 1500))
        rates["plans"]["*"]["prices"]["cpu.used"]["included"] = "1000000000"
        for row in bill(box, tmp_path, rates):
            if tags(row).get("croft/meter") == "cpu.used":
                assert row["BilledCost"] == "0", row

    def test_an_event_tells_of_it(self, box):
        box.ok("tenant", "bind", "acme", "4321")
        correct(box, "--subtract", "1000")
        event, = (e for e in box.json_lines("events", "--tenant", "acme")
                  if e["type"] == "tenant.usage_corrected")
        details = json.loads(event["details_json"])
        assert details["meter"] == "cpu.used" and details["amount"] == "-1000"
        assert details["unit"] == "us" and details["reason"] == REASON
        assert details["resource"] == "tenants/acme/containers/web"
        assert details["hour"][:13] == hour_of(box)[:13]
        assert event["actor"] == "uid:0" and event["actor_role"] == "operator"
        # The tenant sees record and event, and not who it was.
        seen, = (e for e in box.json_lines("events", uid=4321)
                 if e["type"] == "tenant.usage_corrected")
        assert not seen.get("actor")
        assert "INC-12" in box.ok("usage", "export", uid=4321)

    def test_retention_changes_no_total(self, box):
        correct(box, "--subtract", "1000")
        before = [r for r in everything(box) if r["finalized_at"]]
        box.terminate("croftd")
        box.start("--keep-samples", "0")

        def left():
            state = sqlite3.connect(f"file:{box.state}/server/croft.db?mode=ro", uri=True)
            try:
                n, = state.execute(
                    "SELECT count(*) FROM samples WHERE run IN (SELECT run FROM ledger_entries"
                    " WHERE flags & 8)").fetchone()
            finally:
                state.close()
            return n

        wait_until("the samples are gone", lambda: left() == 0, 60)
        ids = {r["record_id"] for r in before}
        assert [r for r in everything(box) if r["record_id"] in ids] == before
        correct(box, "--add", "1000")
        proof(box)


class TestOnce:
    def test_the_same_request_is_one_correction(self, box):
        first = correct(box, "--subtract", "1000", "--request-id", "fix-1")
        assert correct(box, "--subtract", "1000", "--request-id", "fix-1") == first
        box.kill9("croftd")
        box.restart("croftd")
        assert correct(box, "--subtract", "1000", "--request-id", "fix-1") == first
        assert len(ours(box)) == 1
        box.refused("usage", "correct", "acme/web", "cpu.used", "--subtract", "2000", "--hour",
                    hour_of(box), "--reason", REASON, "--request-id", "fix-1")
        assert correct(box, "--subtract", "1000", "--request-id", "fix-2") != first
        assert len(ours(box)) == 2

    def test_killed_at_any_moment_it_is_there_once_or_not_at_all(self, box):
        """Sent again until it is answered, however often croftd dies meanwhile."""
        hour, stop = hour_of(box), threading.Event()
        used = total(records(box))

        def kill():
            while not stop.is_set():
                box.kill9("croftd")
                box.restart("croftd")
                stop.wait(0.3)

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            for i in range(12):
                wait_until("it is answered", lambda i=i: box.croft(
                    "usage", "correct", "acme/web", "cpu.used", "--subtract", "7", "--hour", hour,
                    "--reason", REASON, "--request-id", f"fix-{i}").rc == 0, 120)
        finally:
            stop.set()
            killer.join()
        assert len(ours(box)) == 12
        assert total(records(box)) == used - 7 * 12
        proof(box)


class TestRefused:
    def test_what_makes_no_sense(self, box):
        hour = hour_of(box)

        def refused(*args, match, meter="cpu.used", name="acme/web", at=hour, why=REASON):
            result = box.croft("usage", "correct", name, meter, "--hour", at, "--reason", why,
                               *args)
            assert result.rc == 1 and re.search(match, result.err), result
            assert result.err.count("\n") == 1, result

        refused("--add", "1", meter="cpu.wasted", match="no meter")
        refused("--add", "1", meter="memory.peak", match="highest value")
        refused("--add", "1", meter="pids.peak", match="highest value")
        refused("--add", "0", match="other than 0")
        refused("--subtract", "1" + "0" * 12, match="no more can be taken off")
        refused("--add", "1" * 31, match="at most 30 digits")
        refused("--add", "1", at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                match="not closed")
        refused("--add", "1", at="2020-01-01T00:00:00Z", match="no record of cpu.used")
        refused("--add", "1", meter="snapshot.used", match="no record of snapshot.used")
        refused("--add", "1", name="acme/nobody", match="no record of")
        refused("--add", "1", name="nobody/web", match="no tenant nobody")
        refused("--add", "1", "--record", "0" * 32, match="that record_id")
        refused("--add", "1", why="x" * 257, match="longer than 256")
        refused("--add", "1", why="a\tb", match="control characters")
        refused("--add", "1", why=" ", match="say why")
        for args in (("--add", "1", "--subtract", "1"), (), ("--add", "-5"), ("--add", "5.5")):
            assert box.croft("usage", "correct", "acme/web", "cpu.used", "--hour", hour,
                             "--reason", REASON, *args).rc == 2
        assert box.croft("usage", "correct", "acme/web", "cpu.used", "--hour", hour,
                         "--add", "1").rc == 2
        assert box.croft("usage", "correct", "acme/web", "cpu.used", "--reason", REASON,
                         "--add", "1").rc == 2
        assert not ours(box)
        proof(box)

    def test_it_is_for_operators(self, box):
        box.ok("tenant", "bind", "acme", "4321")
        box.refused("usage", "correct", "acme/web", "cpu.used", "--subtract", "1", "--hour",
                    hour_of(box), "--reason", REASON, uid=4321, match="operator")
        assert not ours(box)

    def test_of_what_is_gone_and_of_several(self, box):
        """Two of a name in one hour: the record, or the uid, says which is meant."""
        old, = {r["resource_uid"] for r in records(box)}
        box.ok("delete", "acme/web")
        box.launch("acme/web", init=["/bin/true"])
        box.wait_state("acme/web", "STOPPED")
        with stopped(box) as state:
            # Beside the first, whatever the clock said.
            shift, = state.execute(
                "SELECT (SELECT max(start_wall) FROM runs WHERE kind = 0 AND container_uid <> '')"
                " - window_start FROM ledger_entries e JOIN runs r ON r.key = e.run"
                " WHERE kind = 0 ORDER BY number DESC LIMIT 1").fetchone()
            new, = state.execute("SELECT container_uid FROM runs WHERE kind = 0 AND"
                                 " container_uid <> '' ORDER BY key DESC LIMIT 1").fetchone()
            for table, columns in (("runs", ("start_wall", "end_wall")), ("samples", ("wall",)),
                                   ("ledger_open", ("window_start",))):
                run = "key" if table == "runs" else "run"
                for column in columns:
                    state.execute(
                        f"UPDATE {table} SET {column} = {column} - ? WHERE {run} IN (SELECT key"
                        " FROM runs WHERE container_uid = ? AND kind = 0)", (shift, new))
            state.execute("UPDATE ledger_open SET hour_end = window_start - window_start %"
                          " 3600000000 + 3600000000 WHERE run IN (SELECT key FROM runs WHERE"
                          " container_uid = ? AND kind = 0)", (new,))
        closed(box, 2)
        wait_until("both are closed", lambda: {old, new} <= {
            r["resource_uid"] for r in records(box) if r["finalized_at"]}, 60)
        hour = hour_of(box)
        args = ("--hour", hour, "--reason", REASON, "--add", "1")
        box.refused("usage", "correct", "acme/web", "cpu.used", *args, match="2 records")
        box.ok("usage", "correct", f"acme/{old}", "cpu.used", *args)
        record, = (r["record_id"] for r in records(box) if r["resource_uid"] == new
                   and r["meter"] == "cpu.used")
        box.ok("usage", "correct", "acme/web", "cpu.used", *args, "--record", record)
        assert [r["resource_uid"] for r in ours(box)] == [old, new]
        proof(box)
