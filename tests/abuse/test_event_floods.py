"""What happens many thousand times a second is told in a few events, and none of it is lost."""

import json

SECONDS = 8
FORK = 57  # x86-64
# Of event_pace.h: so many at once, and one more when the run has ended.
BURST = 6


def counted(box, name, kind):
    """(count, total) of each event of that kind."""
    found = []
    for event in box.events():
        if event["type"] == kind and event["resource"].endswith("/" + name):
            details = json.loads(event["details_json"])
            found.append((details["count"], details["total"]))
    return found


def storm(box, name, *call):
    """How often a call failed."""
    out = box.exec(name, "/probe", "storm", str(SECONDS), *map(str, call), timeout=120).out
    return int(out.split()[1])


def test_refused_forks(box):
    """The control is in the count: each might have been an event, as the counter has risen."""
    box.tenant()
    box.launch("acme/web", pids=16)
    box.put_probe("acme/web")
    refused = storm(box, "acme/web", FORK)
    assert refused > 10000, refused
    assert 1 <= len(counted(box, "web", "container.pids_denied")) <= BURST
    # Both daemons die in the middle of the next one; what was told is not told again.
    box.kill9("croftd")
    box.restart("croftd")
    refused += storm(box, "acme/web", FORK)
    box.ok("kill", "acme/web")
    box.wait_state("acme/web", "STOPPED")
    told = counted(box, "web", "container.pids_denied")
    assert len(told) <= 2 * BURST + 1, told
    total = box.usage("acme/web")["pids_denied"]
    assert total >= refused
    assert sum(count for count, _ in told) == told[-1][1] == total
    assert [t for _, t in told] == sorted({t for _, t in told})
