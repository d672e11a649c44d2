"""Exports of the ledger as other people's programs read them: each form with a parser that is not
ours, and the same figures in all of them.
"""

import csv
import datetime
import io
import json
import re
import subprocess

import pytest

from croft_harness import wait_until
from test_ledger import age, burn, closed, everything, records, stopped

# A customer's number with everything in it that a form could trip over.
ACCOUNT = 'no. 7, "Höfe" & <Söhne> \\ 1e5'
WHOLE = re.compile(r"[0-9]+")


@pytest.fixture
def box(fresh_box):
    """Closed hours of one that is gone, and open ones of one that runs."""
    fresh_box.tenant(cpu="1", account=ACCOUNT)
    fresh_box.launch("acme/web", memory="64M")
    burn(fresh_box)
    fresh_box.ok("kill", "acme/web")
    fresh_box.wait_state("acme/web", "STOPPED")
    with stopped(fresh_box) as state:
        age(state)
    closed(fresh_box)
    fresh_box.launch("acme/db")
    wait_until("it is on the ledger", lambda: any(
        not r["finalized_at"] for r in records(fresh_box)), 60)
    return fresh_box


def key(record):
    return record["record_id"]


def of_closed(found):
    return sorted((r for r in found if r["finalized_at"]), key=key)


def parse_time(text):
    assert text.endswith("Z")
    return datetime.datetime.fromisoformat(text[:-1] + "+00:00")


def json_lines(box, form):
    text = box.ok("usage", "export", "--format", form)
    assert text.endswith("\n") and "\r" not in text
    return [json.loads(line) for line in text.splitlines()]


class TestForms:
    def test_csv_is_read_by_python(self, box):
        text = box.croft("usage", "export", "--format", "csv").out
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
        assert len({len(row) for row in rows}) == 1
        assert rows[0][:9] == ["record_id", "tenant", "account_ref", "resource", "resource_uid",
                               "run_id", "meter", "quantity", "unit"]
        assert len(rows) > 20
        uid = box.json("tenant", "show", "acme")["uid"]
        for row in rows[1:]:
            record = dict(zip(rows[0], row))
            assert record["account_ref"] == ACCOUNT and record["tenant_uid"] == uid
            for name in ("quantity", "counter_start", "counter_end", "samples", "revision"):
                assert WHOLE.fullmatch(record[name]), (name, record)
            assert parse_time(record["window_start"]) < parse_time(record["window_end"])

    def test_csv_is_read_by_sqlite(self, box, tmp_path):
        """Its .import is a parser of its own, of which no row may be complained about."""
        file = tmp_path / "usage.csv"
        file.write_text(box.ok("usage", "export", "--format", "csv"), newline="\r\n")
        found = list(csv.DictReader(io.StringIO(file.read_text())))
        done = subprocess.run(
            ["sqlite3", "-bail", "-json", ":memory:", f".import --csv {file} usage",
             "SELECT record_id, account_ref, meter, quantity, unit, window_start FROM usage"
             " ORDER BY record_id"],
            capture_output=True, text=True, timeout=120, check=True)
        assert not done.stderr
        names = ("record_id", "account_ref", "meter", "quantity", "unit", "window_start")
        assert json.loads(done.stdout) == [
            {name: record[name] for name in names} for record in sorted(found, key=key)]

    def test_json_lines_say_the_same(self, box):
        lines = json_lines(box, "jsonl")
        assert len(lines) > 20
        for line in lines:
            assert WHOLE.fullmatch(line["quantity"]), line
        want = [(r["record_id"], r["meter"], r["quantity"], r["window_start"], r["account_ref"])
                for r in of_closed(everything(box))]
        assert want == sorted(
            (r["recordId"], r["meter"], r["quantity"], r["windowStart"], r["accountRef"])
            for r in lines if "finalizedAt" in r)


class TestCloudEvents:
    def test_closed_records_are_events(self, box):
        events = json_lines(box, "cloudevents")
        found = of_closed(everything(box))
        assert [e["id"] for e in sorted(events, key=lambda e: e["id"])] == [key(r) for r in found]
        by_id = {key(r): r for r in found}
        for event in events:
            record, data = by_id[event["id"]], event["data"]
            # CloudEvents 1.0: the required attributes, and names of lower case letters and digits.
            assert event["specversion"] == "1.0"
            assert all(re.fullmatch("[a-z0-9]+", name) for name in event)
            assert all(event[name] for name in ("id", "source", "type", "subject"))
            assert re.fullmatch(r"/croft/hosts/([\w.~-]|%[0-9A-F]{2})+", event["source"])
            assert event["type"] == f"croft.usage.{record['meter']}.v1"
            assert event["subject"] == "acme"
            assert event["datacontenttype"] == "application/json"
            # It counts for the hour that it is of, not for the one in which it was closed.
            assert parse_time(event["time"]) == parse_time(record["window_start"])
            assert data["quantity"] == record["quantity"] and WHOLE.fullmatch(data["quantity"])
            assert data["recordHash"] == record["record_hash"]
            assert data["accountRef"] == ACCOUNT

    def test_what_still_changes_is_no_event(self, box):
        """Receivers keep the first event of an id: an open hour's figures would stand for ever."""
        open_ids = {key(r) for r in everything(box) if not r["finalized_at"]}
        first = box.ok("usage", "export", "--format", "cloudevents")
        assert open_ids and not open_ids & {json.loads(line)["id"] for line in first.splitlines()}
        # Repeated, it is the same to the byte, whatever died meanwhile.
        box.kill9("croftd")
        box.restart("croftd")
        assert box.ok("usage", "export", "--format", "cloudevents") == first
