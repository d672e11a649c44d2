"""The 95th percentile of a month's traffic: of all that a tenant's containers had together in each
five minutes, and worked out here from what the export shows, by sorting."""

import csv
import datetime
import decimal
import io
import json
import sqlite3

import pytest

import samples
from croft_harness import wait_until
from test_ledger import HOUR, check_chain, everything, records, stopped
from test_usage_focus import bill as focus_bill
from test_usage_focus import card, check_rules, cost_of, price

SLOT = 300 * 1000000
WAYS = {"in": 15, "out": 17}  # ids of what is counted with the outside
TRAFFIC = range(11, 19)
HIGH, LOW = 375_000_000, 30_001  # bytes in five minutes: 10 Mbit/s
# What the one has while the other is busy.
TOGETHER = (HIGH + LOW) * 8 // 300
DAYS, LONG, LATER = 3, 464, 400  # each has LONG high stretches, the second begins LATER


@pytest.fixture
def box(fresh_box):
    """The ledger keeps what was deleted: each test needs one of its own."""
    return fresh_box


def last_month():
    """(first moment, end) in microseconds, and its name."""
    now = datetime.datetime.now(datetime.timezone.utc)
    end = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    start = (end - datetime.timedelta(days=1)).replace(day=1)
    return int(start.timestamp()) * 10**6, int(end.timestamp()) * 10**6, f"{start:%Y-%m}"


def make_history(state, name, wall, rates):
    """Has a run that ended begin then, with a sample each five minutes and so many bytes in it."""
    run, boot, uid = state.execute(
        "SELECT key, start_boot, container_uid FROM runs WHERE container = ? AND kind = 0",
        (name,)).fetchone()
    values = samples.unpack(*state.execute(
        "SELECT ids, packed FROM samples WHERE run = ? ORDER BY sequence DESC LIMIT 1",
        (run,)).fetchone())
    state.execute("DELETE FROM samples WHERE run = ?", (run,))
    values.update(dict.fromkeys(TRAFFIC, 0))
    for n, (received, sent) in enumerate([(0, 0), *rates]):
        for number, more in (11, received), (13, sent), (15, received), (17, sent):
            values[number] += more
        state.execute("INSERT INTO samples (run, sequence, boot, wall, ids, packed)"
                      " VALUES (?, ?, ?, ?, ?, ?)",
                      (run, n, boot + n * SLOT, wall + n * SLOT, *samples.pack(values)))
    state.execute("UPDATE runs SET start_wall = ?, end_wall = ? WHERE key = ?",
                  (wall, wall + len(rates) * SLOT, run))
    state.execute("UPDATE ledger_open SET window_start = ?, hour_end = ? WHERE run = ?",
                  (wall, wall + HOUR, run))
    state.execute("UPDATE ledger_terms SET wall = ? WHERE container_uid = ?", (wall, uid))


def by_stretch(found, resource):
    """{start of five minutes: [in, out]}, of a container or of all of a tenant's."""
    sums = {}
    for record in found:
        if record["meter"] != "net.p95" or not record["resource"].startswith(resource):
            continue
        start = datetime.datetime.fromisoformat(record["window_start"].replace("Z", "+00:00"))
        hour = int(start.timestamp()) // 3600 * 3600
        for n, pair in enumerate(record["slots"].split(" ")):
            sums.setdefault(hour + n * 300, [0, 0])
            for way, value in enumerate(pair.split("/")):
                sums[hour + n * 300][way] += int(value)
    return sums


def percentile(stretches, of):
    """By nearest rank, of so many stretches: the higher way, in whole bits a second."""
    def rank(way):
        ordered = sorted([pair[way] for pair in stretches.values()], reverse=True)
        ordered += [0] * (of - len(ordered))
        return ordered[of // 20]
    return max(rank(0), rank(1)) * 8 // 300


def sums_of(text, name):
    return {r["meter"]: int(r["quantity"]) for r in csv.DictReader(io.StringIO(text))
            if r[name[0]] == name[1]}


@pytest.fixture
def month(box):
    """Two containers that were busy at different times of last month."""
    start, end, name = last_month()
    box.tenant()
    for container in ("web", "db"):
        box.launch(f"acme/{container}")
        box.ok("kill", f"acme/{container}")
        box.wait_state(f"acme/{container}", "STOPPED")
    n = DAYS * 288
    with stopped(box) as state:
        make_history(state, "web", start, [(LOW, HIGH if i < LONG else LOW) for i in range(n)])
        make_history(state, "db", start,
                     [(LOW, HIGH if LATER <= i < LATER + LONG else 0) for i in range(n)])
    wait_until("its hours are closed", lambda: len([
        r for r in records(box) if r["meter"] == "net.p95" and r["finalized_at"]]) >= 2 * 24 * DAYS,
        120)
    return name, start, end


def test_it_is_of_what_containers_had_together(box, month):
    name, start, end = month
    found = everything(box)
    stretches = (end - start) // SLOT
    high = HIGH * 8 // 300

    def check():
        text = box.ok("usage", "totals", "--month", name, "-o", "csv")
        assert sums_of(text, ("tenant", "acme"))["net.p95"] == percentile(
            by_stretch(found, "tenants/acme"), stretches) == TOGETHER
        for container in ("web", "db"):
            text = box.ok("usage", "show", f"acme/{container}", "--months", "2", "-o", "csv")
            resource = f"tenants/acme/containers/{container}"
            assert sums_of(text, ("month", name))["net.p95"] == percentile(
                by_stretch(found, resource), stretches) == high
    # Each has so many stretches that their percentile is high, and so has the tenant: not twice.
    check()
    # Every byte is in its five minutes, and records say what they are of.
    for way, number in WAYS.items():
        meter = f"net.{'in' if way == 'in' else 'e'}gress.outside"
        total = sum(int(r["quantity"]) for r in found if r["meter"] == meter)
        assert total == sum(pair[number == 17] for pair in
                            by_stretch(found, "tenants/acme").values()) > 0
    for record in found:
        assert bool(record["slots"]) == (record["meter"] == "net.p95")
        if record["slots"]:
            most = max(int(x) for x in record["slots"].replace("/", " ").split(" "))
            assert int(record["quantity"]) == most * 8 // 300
            assert (record["unit"], record["aggregation"]) == ("bits/s", "p95")
    # It is part of what is proven, and the same after everything died.
    wait_until("the chain is as long as its proof", lambda: check_chain(everything(box)) == proof(
        box)["head"], 60)
    box.kill9("croftd")
    box.restart("croftd")
    check()


def proof(box):
    found, = box.json_lines("usage", "verify", "acme")
    assert not found.get("problem_count"), found
    return found


def test_of_a_part_of_the_month_it_is_that_parts(box, month):
    _, start, _ = month
    found = everything(box)

    def at(stretch):
        moment = datetime.datetime.fromtimestamp((start + stretch * SLOT) / 10**6,
                                                 datetime.timezone.utc)
        return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
    for first, last in (0, 12), (396, 468), (0, 864), (600, 8064), (864, 876):
        text = box.ok("usage", "totals", "--from", at(first), "--to", at(last), "-o", "csv")
        want = percentile({moment: pair for moment, pair in by_stretch(
            found, "tenants/acme").items() if first <= (moment - start // 10**6) // 300 < last},
            last - first)
        assert sums_of(text, ("tenant", "acme")).get("net.p95", 0) == want
    # Where both were busy it is what they had together.
    text = box.ok("usage", "totals", "--from", at(408), "--to", at(456), "-o", "csv")
    assert sums_of(text, ("tenant", "acme"))["net.p95"] == 2 * HIGH * 8 // 300
    # Of all time, or of more than two months, there is none.
    for period in (), ("--from", "2001-01-01T00:00:00Z"):
        sums = sums_of(box.ok("usage", "totals", *period, "-o", "csv"), ("tenant", "acme"))
        assert "net.p95" not in sums and sums["net.egress.outside"] > 0


def test_it_has_one_row_on_the_bill(box, month, tmp_path, monkeypatch):
    name, _, _ = month
    monkeypatch.setattr("test_usage_focus.month_of", lambda box: name)
    rates = price("3.10", "1000000", "Mb/Second", included="2000000")
    sent = next(r for r in everything(box) if r["meter"] == "net.egress.outside"
                and r["resource"].endswith("/web") and int(r["quantity"]) > 1000)
    box.ok("usage", "correct", "acme/web", sent["meter"], "--hour", sent["window_start"],
           "--subtract", "1000", "--reason", "why not")
    rows = focus_bill(box, tmp_path, card(default={"prices": {
        "net.p95": rates, sent["meter"]: price("0.1", "1000000000", "GB")}}))
    check_rules(rows)
    # What is corrected after the month, which may have been invoiced, has a row of its own; so
    # has what is included.
    fix, = [r for r in rows if r["ChargeClass"]]
    assert (fix["ConsumedQuantity"], fix["BilledCost"]) == ("-1000", "-0.0000001")
    free, row = [r for r in rows if r["SkuMeter"] == "net.p95"]
    for one in free, row:
        assert one["ResourceName"] == "tenants/acme" and one["ResourceType"] == "Tenant"
        assert one["ConsumedUnit"] == "b/Second"
        assert json.loads(one["Tags"]) == {"croft/meter": "net.p95", "croft/plan": "default"}
    assert (int(free["ConsumedQuantity"]), free["BilledCost"]) == (2000000, "0")
    assert int(row["ConsumedQuantity"]) == TOGETHER - 2000000
    assert decimal.Decimal(row["ListCost"]) == decimal.Decimal(row["BilledCost"]) == cost_of(
        rates, TOGETHER - 2000000) > 0


def test_nothing_can_be_added_to_it(box, month):
    record = next(r for r in everything(box) if r["meter"] == "net.p95")
    box.refused("usage", "correct", "acme/web", "net.p95", "--add", "1", "--hour",
                record["window_start"], "--reason", "why not", match="is a percentile")


def test_who_changes_five_minutes_is_found(box, month):
    box.terminate("croftd")
    state = sqlite3.connect(f"{box.state}/server/croft.db")
    with state:
        # The last byte of an entry of the run is of what it carries on; the one of HIGH is inside.
        number, figures = state.execute(
            "SELECT e.number, e.figures FROM ledger_entries e JOIN runs r ON r.key = e.run"
            " WHERE r.container = 'web' AND r.kind = 0 ORDER BY e.number LIMIT 1").fetchone()
        high, low = varint(HIGH), varint(HIGH - 1)
        assert len(high) == len(low) and high in figures
        at = figures.rindex(high)
        state.execute("UPDATE ledger_entries SET figures = ? WHERE number = ?",
                      (figures[:at] + low + figures[at + len(high):], number))
    state.close()
    box.restart("croftd")
    done = box.croft("usage", "verify", "acme")
    assert done.rc and "not those that were written" in done.out + done.err


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
