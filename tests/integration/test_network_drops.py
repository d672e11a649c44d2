"""What rate limits drop is a figure of who has them, beside what the kernel counts."""

import json

import pytest

import netlab
import scrapes
from croft_harness import wait_until
from fixtures import keep
from iperf import client, server
from networked import lab  # noqa: F401
from test_network_rates import inside, outside, ports
from test_network_refused import KeptScraped


@pytest.fixture(scope="module")
def kept(schema, lab):  # noqa: F811
    yield from keep(KeptScraped(schema, lab))


def dropped(box, container=None, tenant="acme"):
    """What a scraper is told: (in, out); None: there is no such limit."""
    page = scrapes.scrape(box.metrics)
    labels = {"tenant": tenant, **({"container": container} if container else {})}
    level = "container" if container else "tenant"
    return tuple(page.get(f"croft_{level}_network_dropped_packets_total", reason=reason, **labels)
                 for reason in ("rate_in", "rate_out"))


def kernels(box, interface):
    """The same by tc(8): of the bucket at its end, and of that behind it."""
    text = netlab.ip("netns", "exec", box.netns, "tc", "-s", "-j", "qdisc", "show")
    found = {q["dev"]: q["drops"] for q in json.loads(text) if q["kind"] == "tbf"}
    return found.get(interface), found.get(f"{interface}o")


def flood(box, name, *options):
    """Datagrams of many senders, as one that is queued up waits; ten times what a limit of 500 kB
    a second lets through."""
    with server(outside(box)):
        client(inside(box, name), netlab.OUTSIDE4, "-u", "-b", "2M", "-P", "20", "-l", "1000",
               *options, seconds=1)


def wait_same(box, interface, container=None):
    """When all is quiet, one says what the other does."""
    return wait_until("a page of then", lambda: (
        seen := dropped(box, container)) == kernels(box, interface) and seen, 30)


def test_a_container_s_own(box):
    box.tenant()
    box.launch("acme/web", options=["--rate-in", "500KB", "--rate-out", "500KB"])
    _, port = ports(box)
    box.launch("acme/calm", options=["--rate-in", "500KB"])
    box.launch("acme/free")
    flood(box, "acme/web")
    into, out = wait_same(box, port, "web")
    assert out > 100 and into < out
    flood(box, "acme/web", "-R")
    into, again = wait_same(box, port, "web")
    assert into > 100 and again >= out
    # Who drops nothing has a figure that says so, and who has no limit has none.
    assert dropped(box, "calm") == (0, None)
    assert dropped(box, "free") == dropped(box) == (None, None)
    # A line that is full is no refusal.
    assert not [e for e in box.events() if e["type"] == "network.refused"]
    # It goes on under the next daemons, and begins anew with a run.
    for which in ("croftd", "supervisor"):
        box.kill9(which)
    box.restart("croftd", "supervisor")
    wait_until("as before", lambda: dropped(box, "web") == (into, again), 30)
    box.ok("restart", "--timeout", "0", "acme/web")
    wait_until("it begins anew", lambda: dropped(box, "web") == (0, 0), 30)
    box.ok("stop", "--timeout", "0", "acme/web")
    wait_until("there is none", lambda: dropped(box, "web") == (None, None), 30)


def test_a_tenant_s_own(box):
    box.tenant()
    box.launch("acme/web")
    bridge, _ = ports(box)
    box.ok("network", "set", "acme", "--rate-in", "500KB", "--rate-out", "500KB")
    for options in ((), ("-R",)):
        flood(box, "acme/web", *options)
    assert min(wait_same(box, bridge)) > 100
    # Its container has no limit of its own.
    assert dropped(box, "web") == (None, None)
