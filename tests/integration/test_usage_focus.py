"""A month's bill in FOCUS 1.2: by the specification's rules (focus_rules.py), and its amounts
against sums done with Python's fractions over the records of the same month.
"""

import csv
import decimal
import fractions
import io
import json

import pytest

import focus_rules
from croft_harness import wait_until
from test_ledger import age, burn, records, stopped

def card(**plans):
    return {"version": 1, "currency": "EUR", "digits": 2, "provider": "Example, Inc.",
            "service": "System containers", "plans": plans}


def price(text, per, unit, included=None):
    out = {"price": text, "per": per, "unit": unit}
    return out if included is None else {**out, "included": included}


@pytest.fixture
def box(fresh_box):
    fresh_box.tenant(cpu="1")
    fresh_box.ok("tenant", "set", "acme", "--account", 'no. 7, "Höfe"')
    fresh_box.launch("acme/web", memory="64M")
    fresh_box.launch("acme/db")
    burn(fresh_box)
    for name in ("acme/web", "acme/db"):
        fresh_box.ok("kill", name)
        fresh_box.wait_state(name, "STOPPED")
    with stopped(fresh_box) as state:
        age(state)
    wait_until("the hours are closed", lambda: all(
        r["finalized_at"] for r in records(fresh_box)), 60)
    return fresh_box


def month_of(box):
    """A test may run when a month ends: the one in which the records begin."""
    found, = {r["window_start"][:7] for r in records(box)}
    return found


def bill(box, tmp_path, rates, **kwargs):
    file = tmp_path / "card.json"
    file.write_text(json.dumps(rates))
    text = box.ok("usage", "export", "--format", "focus", "--rate-card", str(file), "--month",
                  month_of(box), **kwargs)
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def check_rules(rows):
    assert not focus_rules.broken(rows)


def tags(row):
    return json.loads(row["Tags"] or "{}")


def rounded(value, step):
    """Half up."""
    return fractions.Fraction((value / step + fractions.Fraction(1, 2)).__floor__()) * step


def cost_of(rates, quantity):
    return rounded(fractions.Fraction(rates["price"]) * quantity / int(rates["per"]),
                   fractions.Fraction(1, 10**10))


RATES = {
    "cpu.used": price("0.37", "7", "Microseconds"),
    "running": price("0.012", "3600000000", "Core-Hours", included="1000"),
    "memory.allocated": price("0.0031", "3774873600", "GiB-Hours"),
    "net.egress": price("0.1", "1000000000", "GB"),
}


def list_cost(rates, quantity):
    """Its own price times what PricingQuantity says, exactly."""
    return fractions.Fraction(rates["price"]) * rounded(
        fractions.Fraction(quantity, int(rates["per"])), fractions.Fraction(1, 10**10))


def test_a_bill_is_by_the_rules_and_exact(box, tmp_path):
    rows = bill(box, tmp_path, card(default={"prices": RATES}))
    check_rules(rows)
    used = [row for row in rows if row["ChargeCategory"] == "Usage"]
    assert {row["ResourceName"] for row in used} == {
        "tenants/acme/containers/web", "tenants/acme/containers/db"}
    assert {row["BillingAccountId"] for row in rows} == {'no. 7, "Höfe"'}
    found = records(box)
    for meter, rates in RATES.items():
        mine = [row for row in used if tags(row)["croft/meter"] == meter]
        total = sum(int(r["quantity"]) for r in found if r["meter"] == meter)
        assert bool(mine) == any(r["meter"] == meter for r in found)
        assert sum(int(row["ConsumedQuantity"]) for row in mine) == total
        # Rounded once: rows add up to what the whole costs, not to so many roundings.
        assert sum(fractions.Fraction(r["ListCost"]) for r in mine) == list_cost(rates, total)
        over = max(0, total - int(rates.get("included", "0")))
        assert sum(fractions.Fraction(r["BilledCost"]) for r in mine) == cost_of(rates, over)
    whole = sum(decimal.Decimal(row["BilledCost"]) for row in rows)
    exact = sum(decimal.Decimal(row["BilledCost"]) for row in used)
    assert whole == whole.quantize(decimal.Decimal("0.01"))
    assert abs(whole - exact) <= decimal.Decimal("0.005") and exact > 0
    # What is included ends within a row: FOCUS has what is free apart.
    web = [r for r in used if tags(r)["croft/meter"] == "running"]
    assert sorted(r["BilledCost"] == "0" for r in web)[:2] == [False, False] and len(web) == 3
    free, = [r for r in web if r["BilledCost"] == "0"]
    assert free["ConsumedQuantity"] == "1000" and free["ChargeDescription"].endswith(", included")
    assert {r["ResourceType"] for r in used} == {"Container"}
    # Again it is the same, to the byte.
    assert bill(box, tmp_path, card(default={"prices": RATES})) == rows
    # Each rule can be broken, and is then found to be.
    known = set()
    row = next(r for r in used if fractions.Fraction(r["BilledCost"]))
    for rule, bad in focus_rules.spoilt(row):
        assert rule is None or rule in focus_rules.broken(bad), (rule, bad)
        known.add(rule)
    assert set(focus_rules.ROWS) <= known


def test_a_minimum_is_made_up_for(box, tmp_path):
    rows = bill(box, tmp_path, card(**{"*": {
        "minimum": "12345.67", "prices": {"running": RATES["running"]}}}))
    check_rules(rows)
    assert sum(decimal.Decimal(r["BilledCost"]) for r in rows) == decimal.Decimal("12345.67")
    extra, = [r for r in rows if r["ChargeDescription"] == "Monthly minimum"]
    assert extra["ChargeCategory"] == "Adjustment"


def test_a_minimum_is_of_who_used_nothing_too(box, tmp_path):
    """One that has no record with a price, one that has none at all, and one that came later."""
    box.ok("plan", "create", "large")
    box.ok("tenant", "create", "idle", "--plan", "large", "--account", "no. 8")
    box.ok("tenant", "create", "later", "--plan", "large")
    month = month_of(box)
    with stopped(box) as state:
        # What has run is of two hours ago, which may be another month.
        state.execute("UPDATE tenants SET created_wall = created_wall - 2 * 3600000000"
                      " WHERE name = 'idle'")
        # As if that was not its month: what it has there is of the tenant itself.
        state.execute("UPDATE tenants SET created_wall = created_wall + 40 * 86400000000"
                      " WHERE name = 'later'")
        state.execute("UPDATE runs SET start_wall = start_wall + 40 * 86400000000"
                      " WHERE tenant = 'later'")
        state.execute("UPDATE ledger_open SET window_start = window_start + 40 * 86400000000,"
                      " hour_end = hour_end + 40 * 86400000000 WHERE run IN"
                      " (SELECT key FROM runs WHERE tenant = 'later')")
    rates = card(default={"minimum": "3.00", "prices": {"net.ingress": price("0.1", "1", "B")}},
                 large={"minimum": "20.50", "prices": {"running": RATES["running"]}})
    file = tmp_path / "card.json"
    file.write_text(json.dumps(rates))

    def billed(*args):
        rows = list(csv.DictReader(io.StringIO(box.ok(
            "usage", "export", "--format", "focus", "--rate-card", str(file), "--month", month,
            *args))))
        check_rules(rows)
        return {t: sum(decimal.Decimal(r["BilledCost"]) for r in rows if r["SubAccountName"] == t)
                for t in {r["SubAccountName"] for r in rows}}, rows

    sums, rows = billed()
    idle = [r for r in rows if r["SubAccountName"] == "idle"]
    assert sums["acme"] == decimal.Decimal("3") and sums["idle"] == decimal.Decimal("20.5")
    assert "later" not in sums
    assert [(r["ChargeDescription"], r["BillingAccountId"]) for r in idle] == [
        ("Monthly minimum", "no. 8")]
    assert billed("--tenant", "idle")[0] == {"idle": decimal.Decimal("20.5")}
    # Whoever has no prices at all is still told of, not given everything for nothing.
    rates["plans"].pop("large")
    file.write_text(json.dumps(rates))
    box.refused("usage", "export", "--format", "focus", "--rate-card", str(file), "--month", month,
                match='no prices for the plan "large"')


def test_what_has_no_price_is_not_billed_in_silence(box, tmp_path):
    def refused(rates, match):
        file = tmp_path / "card.json"
        file.write_text(json.dumps(rates))
        box.refused("usage", "export", "--format", "focus", "--rate-card", str(file), "--month",
                    month_of(box), match=match)

    refused(card(large={"prices": RATES}), 'no prices for the plan "default"')
    refused(card(default={"prices": {"memory.peak": price("1", "1", "B")}}), "no sum")
    refused(card(default={"prices": {**RATES, "cpu.usde": RATES["cpu.used"]}}),
            'no meter "cpu.usde"; there are cpu.used, ')
    refused({**card(default={"prices": RATES}), "currency": "Euro"}, "currency")
    refused(card(default={"prices": {"cpu.used": {**RATES["cpu.used"], "price": 0.37}}}), "price")
    refused(card(default={"prices": {"cpu.used": price("1", "1", "core hours")}}), "GiB-Hours")
    huge = price("9" * 28, "1", "Microseconds")
    refused(card(default={"prices": {"cpu.used": huge, "memory.allocated": huge}}), "too large")
