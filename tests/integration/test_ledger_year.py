"""A year of hourly records, made by a generator: what is exported, added up and proven of it is
what was made. How long that takes, and the room it needs, is measured and printed. `make bench`
does the same of 1,000 tenants."""

import re

import pytest

from croft_harness import BUILD, measured, run_program

TENANTS, HOURS, MONTH = 100, 8760, 730


def test_a_year(tmp_path):
    done = run_program([f"{BUILD}/tests/bench/ledger_year", str(tmp_path / "croft.db"),
                        str(TENANTS), str(HOURS)], timeout=600)
    measured(done.out)
    assert done.rc == 0, done

    def numbers(what):
        line = next(line for line in done.out.splitlines() if line.startswith(what))
        return [float(n) for n in re.findall(r"\d+(?:\.\d+)?", line.removeprefix(what))]

    if "there is room for" in done.out:
        pytest.skip("the disk has no room for it: " + done.out)
    windows, records = numbers("closed")[:2]
    each = records / windows
    assert windows == 16 * HOURS and each > 20
    assert numbers("copied, no chain")[:2] == [(TENANTS - 16) * HOURS,
                                               (TENANTS - 16) * HOURS * each]
    assert numbers("export of a month")[0] == TENANTS * MONTH * each
    assert numbers("sums of a month")[0] == MONTH
    totals = numbers("totals of a month")
    assert (totals[0], totals[3]) == (TENANTS, MONTH)
    proven, *_, problems = numbers("proof of a tenant")
    assert (proven, problems) == (HOURS * each, 0)
