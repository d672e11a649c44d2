"""What the packet filter refuses is told: to its tenant, and of spoofing to operators."""

import json

import pytest

import netlab
import scrapes
from croft_harness import wait_until
from fixtures import keep
from networked import KeptNetworked, Networked, lab, ping  # noqa: F401

MAIL = f"nc -w 2 {netlab.OUTSIDE4} 25 </dev/null"


class Scraped(Networked):
    """One that tells a scraper, too."""

    def start(self, *more):
        return super().start("--metrics", self.metrics, *more)

    @property
    def metrics(self):
        return f"unix:{self.base}/metrics.sock"


class KeptScraped(KeptNetworked):
    def make(self):
        return Scraped(self.schema, self.lab)


@pytest.fixture(scope="module")
def kept(schema, lab):
    yield from keep(KeptScraped(schema, lab))


def counted(box, reason, tenant=None):
    """What a scraper is told; None: nothing."""
    labels = {"tenant": tenant} if tenant else {}
    level = "tenant_" if tenant else ""
    return scrapes.scrape(box.metrics).get(f"croft_{level}network_refused_packets_total",
                                           reason=reason, **labels)


def let_through(box, tenant):
    """Connections outside, and those of them to port 25."""
    page = scrapes.scrape(box.metrics)
    return [page.get(f"croft_tenant_network_outside_{kind}total", tenant=tenant)
            for kind in ("connections_", "smtp_connections_")]


def refused(box, resource, reason):
    """(count, total) of each event."""
    found = []
    for event in box.events():
        details = json.loads(event["details_json"])
        if (event["type"] == "network.refused" and event["resource"] == resource
                and details["reason"] == reason):
            found.append((details["count"], details["total"]))
    return found


def wait_refused(box, resource, reason, times=1):
    wait_until(f"{reason} of {resource}",
               lambda: len(refused(box, resource, reason)) >= times, 30)
    return refused(box, resource, reason)


def test_mail(box):
    """Port 25 is shut; the neighbour that may use it hears nothing."""
    for tenant in ("acme", "other"):
        box.tenant(tenant)
        box.launch(f"{tenant}/web")
    box.ok("network", "set", "other", "--smtp", "on")
    box.exec("acme/web", "/bin/sh", "-c", MAIL)
    box.exec("other/web", "/bin/sh", "-c", MAIL)
    (count, total), = wait_refused(box, "tenants/acme", "smtp")
    assert 1 <= count <= total
    # A storm of it is few events, and they count all.
    box.exec("acme/web", "/bin/sh", "-c", f"for i in $(seq 200); do {MAIL}; done", timeout=120)
    found = wait_refused(box, "tenants/acme", "smtp", 2)
    assert len(found) <= 6
    wait_until("all are counted", lambda: refused(box, "tenants/acme", "smtp")[-1][1] >= 200, 60)
    found = refused(box, "tenants/acme", "smtp")
    assert sum(count for count, _ in found) == found[-1][1]
    assert not refused(box, "tenants/other", "smtp")
    wait_until("a page of then", lambda: (counted(box, "smtp", "acme") or 0) >= found[-1][1], 30)
    assert not counted(box, "smtp", "other")
    assert let_through(box, "other") == [1, 1]
    assert let_through(box, "acme") == [None, None]
    # The next croftd does not tell it again.
    box.kill9("croftd")
    box.restart("croftd")
    box.exec("acme/web", "/bin/sh", "-c", MAIL)
    more = wait_refused(box, "tenants/acme", "smtp", len(found) + 1)
    assert more[-1][0] < 200, more


def test_spoofing(box):
    """An address that is not its own. The filter does not count by port, so it is the host's."""
    box.tenant()
    box.launch("acme/web")
    before = len(refused(box, "host", "spoofed_ip4"))
    # The gateway is known by then: who asks for it in another's name is refused for that.
    assert ping(box, "acme/web", netlab.OUTSIDE4).rc == 0
    box.sh("acme/web", "ip addr add 10.99.99.99/32 dev eth0")
    box.exec("acme/web", "/bin/ping", "-I", "10.99.99.99", "-c", "3", "-W", "1", netlab.OUTSIDE4)
    _, total = wait_refused(box, "host", "spoofed_ip4", before + 1)[-1]
    wait_until("a page of then", lambda: (counted(box, "spoofed_ip4") or 0) >= total, 30)
    # It is nobody's to read but operators'.
    box.ok("tenant", "bind", "acme", "4607")
    seen = box.json_lines("events", uid=4607)
    assert seen and all(e["resource"] != "host" for e in seen)
