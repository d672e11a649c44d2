"""What is new since: a cursor over all that was closed, of which nothing is missed and nothing is
counted twice, whoever dies in between.
"""

import csv
import io
import json
import subprocess

import pytest

from croft_harness import program, wait_until
from test_ledger import age, closed, stopped


@pytest.fixture
def box(fresh_box):
    fresh_box.tenant()
    fresh_box.tenant("other")
    return fresh_box


def run_and_close(box, *names):
    """Runs that end, and whose hours are closed. Returns when as many more records are there."""
    before = {r["record_id"] for r in closed_records(box)}
    for name in names:
        box.launch(name)
        box.ok("kill", name)
        box.wait_state(name, "STOPPED")
    with stopped(box) as state:
        age(state)
    closed(box)
    wait_until("all are closed", lambda: {
        r["resource"] for r in closed_records(box) if r["record_id"] not in before
    } >= {f"tenants/{name.replace('/', '/containers/')}" for name in names}, 60)


def closed_records(box):
    return [r for r in csv.DictReader(io.StringIO(box.ok("usage", "export")))
            if r["finalized_at"]]


def ids(found):
    return sorted(r["record_id"] for r in found)


def new_since(box, cursor, form="jsonl"):
    text = box.ok("usage", "export", "--new-since", str(cursor), "--format", form)
    if form == "csv":
        return list(csv.DictReader(io.StringIO(text)))
    return [json.loads(line) for line in text.splitlines()]


def test_each_record_is_new_once(box, tmp_path):
    cursor = tmp_path / "cursor"
    assert new_since(box, cursor, "csv") == []
    assert not cursor.exists()
    run_and_close(box, "acme/web", "other/web")
    first = new_since(box, cursor, "csv")
    assert ids(first) == ids(closed_records(box))
    assert {r["tenant"] for r in first} == {"acme", "other"}
    assert new_since(box, cursor) == []
    run_and_close(box, "acme/db")
    box.kill9("croftd")
    box.restart("croftd")
    second = new_since(box, cursor)
    assert {r["resource"] for r in second if r["meter"] == "running"} == {
        "tenants/acme/containers/db"}
    assert not any("cursor" in r for r in second)
    everything = ids(first) + [r["recordId"] for r in second]
    assert sorted(everything) == ids(closed_records(box))


def listed(box, after=""):
    with box.api() as api:
        return list(api.stream("Usage/ListClosedUsage", {"after": after}))


def test_an_interrupted_reader_goes_on(box, tmp_path):
    """From any cursor that was ever given the rest follows: gapless, and the same each time."""
    run_and_close(box, "acme/web", "acme/db", "other/web")
    sent = listed(box)
    assert ids(closed_records(box)) == sorted(m.record.record_id for m in sent)
    given = [i for i, message in enumerate(sent) if message.cursor]
    assert len(given) >= 3 and given[-1] == len(sent) - 1
    for i in given:
        assert listed(box, sent[i].cursor) == sent[i + 1:]
    # What did not get out is not behind the cursor.
    cursor = tmp_path / "cursor"
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [program("croft"), "--host", box.host, "usage", "export", "--new-since", cursor],
            stdout=full, stderr=subprocess.PIPE, timeout=120, check=False)
    assert done.returncode == 1 and b"standard output" in done.stderr
    assert not cursor.exists()
    assert len(new_since(box, cursor)) == len(sent)
    assert cursor.read_text() == sent[-1].cursor + "\n"


def test_a_correction_is_new_though_its_hour_is_old(box, tmp_path):
    cursor = tmp_path / "cursor"
    run_and_close(box, "acme/web")
    first = new_since(box, cursor)
    with stopped(box) as state:
        names = [row[1] for row in state.execute("PRAGMA table_info(ledger_entries)")]
        changed = {"number": "(SELECT max(number) + 1 FROM ledger_entries)",
                   "revision": "revision + 1"}
        state.execute(
            f"INSERT INTO ledger_entries ({', '.join(names)})"
            f" SELECT {', '.join(changed.get(n, n) for n in names)} FROM ledger_entries"
            " ORDER BY number DESC LIMIT 1")
    second = new_since(box, cursor)
    assert second and all(r["kind"] == "correction" for r in second)
    assert {r["corrects"] for r in second} <= {r["recordId"] for r in first}
    assert new_since(box, cursor) == []


class TestCursors:
    def test_what_is_no_cursor_is_refused(self, daemon, tmp_path):
        file = tmp_path / "cursor"
        for text in (
                "1", "0-0123456789abcdef", "-1-0123456789abcdef", "01-0123456789abcdef",
                "1-0123456789ABCDEF", "1-0123456789abcdef0",
                "9223372036854775808-0123456789abcdef", "1 -0123456789abcdef",
                "1-0123456789abcde\u00e9", "x" * 100):
            file.write_text(text)
            daemon.refused("usage", "export", "--new-since", str(file), match="not a cursor")
            assert file.read_text() == text

    def test_a_cursor_of_another_ledger_is_refused(self, box, tmp_path):
        """A restored backup gives numbers again: what they stood for would be missed."""
        run_and_close(box, "acme/web")
        cursor = tmp_path / "cursor"
        new_since(box, cursor)
        number, hash_ = cursor.read_text().strip().split("-")
        for wrong in (f"{int(number) + 1}-{hash_}", f"{number}-{'0' * 16}"):
            cursor.write_text(wrong)
            box.refused("usage", "export", "--new-since", str(cursor), match="never gave")
            assert cursor.read_text() == wrong

    def test_an_empty_file_is_not_a_beginning(self, daemon, tmp_path):
        """Whoever lost the cursor should know it."""
        file = tmp_path / "cursor"
        file.write_text("")
        daemon.refused("usage", "export", "--new-since", str(file), match="no cursor in")

    def test_where_it_cannot_be_kept_nothing_is_printed(self, daemon, tmp_path):
        result = daemon.croft("usage", "export", "--new-since", str(tmp_path / "none" / "cursor"))
        assert result.rc == 1 and result.out == "" and "write the cursor" in result.err

    def test_it_is_not_for_tenants(self, daemon):
        daemon.ok("tenant", "create", "bound")
        daemon.ok("tenant", "bind", "bound", "4322")
        daemon.refused("usage", "export", "--new-since", "/tmp/nowhere", uid=4322, match="operator")
