"""Tenants who would not be blamed, and who would blame others: croft noisy is not taken in."""

import os

import pytest

from croft_harness import wait_until

BURN = "while :; do :; done"
# All of them want the same core.
CORE = {"cores": "0-0"}
MANY = 16

pytestmark = pytest.mark.skipif(
    not os.path.exists("/proc/pressure/cpu"), reason="this kernel counts no pressure")


def sh(script):
    return ("/bin/sh", "-c", script)


def culprits(box, victim):
    """Who holds up that container, by the present report."""
    tenant, name = victim.split("/")
    report = box.json("noisy", "--window", "2")
    return {r.get("culprit") for r in report.get("neighbours", [])
            if r["victim"] == f"tenants/{tenant}/containers/{name}"}


@pytest.fixture
def two(box):
    """Of a core, the first tenant has little beside the second."""
    for name, weight in (("acme", 10), ("other", 1000)):
        box.tenant(name, cpu=os.cpu_count(), cpu_weight=weight, memory="256M", pids=256)
    return box


def test_who_spreads_it_over_many_is_named(two):
    """Each of them uses too little to be a culprit; the tenant does not."""
    two.launch("acme/web", init=sh(BURN), **CORE)
    two.launch("other/hog0", init=sh(BURN), **CORE)
    # The control: with one alone, it is that one.
    wait_until("the one is named",
               lambda: "tenants/other/containers/hog0" in culprits(two, "acme/web"), 60)
    for i in range(1, MANY):
        two.launch(f"other/hog{i}", init=sh(BURN), **CORE)
    wait_until("the tenant is named", lambda: "tenants/other" in culprits(two, "acme/web"), 60)


def test_who_is_in_its_own_way_blames_nobody(two):
    """More work than it has CPUs: it waits all the time, and mostly for itself."""
    two.launch("acme/liar", init=sh(f"for i in 1 2 3 4 5 6 7 8; do {BURN} & done; wait"), **CORE)
    two.launch("other/calm", init=sh("while :; do ls -lR /etc >/dev/null; sleep 1; done"), **CORE)
    calm = "tenants/other/containers/calm"

    def waits():
        top = {r["name"]: r for r in two.json_lines("top")}["tenants/acme/containers/liar"]
        return top["cpu_pressure"].get("some_permyriad", 0) > 3000

    wait_until("it waits", waits, 60)
    for _ in range(3):
        assert calm not in culprits(two, "acme/liar")
    # The control: who does take it away is named.
    with two.background_exec("other/calm", "/bin/sh", "-c", BURN):
        wait_until("it is named", lambda: calm in culprits(two, "acme/liar"), 60)
