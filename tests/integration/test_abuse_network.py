"""Rules about networks: a tenant that tries to send mail, or looks who else is there."""

import contextlib
import re
import subprocess

import pytest

import abused
import netlab
from abused import cases, rule, use, wait_case, wait_over
from abused import fresh  # noqa: F401
from croft_harness import wait_until
from networked import KeptNetworked, lab  # noqa: F401
from fixtures import keep
from test_network_rates import inside, rates

MAIL = f"for i in $(seq 30); do nc -w 1 {netlab.OUTSIDE4} 25 </dev/null; done"
SLOW = 100 * 1000
# Every port of a host, and of one that is not there, with a pause between them.
SCAN = """
import itertools, socket, sys, time
for port in itertools.cycle(range(1, 65536)):
    for host in sys.argv[2:]:
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex((host, port))
        s.close()
        time.sleep(float(sys.argv[1]))
"""
NOBODY4 = "192.0.2.77"


class KeptWithRules(abused.WithRules, KeptNetworked):
    pass


@pytest.fixture(scope="module")
def kept(schema, lab):  # noqa: F811
    yield from keep(KeptWithRules(schema, lab))


@contextlib.contextmanager
def scanning(box, name, pause=0.0):
    """In the container's network, by a program of the host's: what is there has none so quick."""
    argv = [*inside(box, name), "/usr/bin/python3", "-c", SCAN, str(pause), netlab.OUTSIDE4,
            NOBODY4]
    with subprocess.Popen(argv) as scan:
        try:
            yield
            assert scan.poll() is None
        finally:
            scan.kill()


@contextlib.contextmanager
def quiet(box, name):
    """Calls one service again and again, as a program does that has work to do."""
    with box.background_exec(name, "/bin/sh", "-c", f"while :; do nc -w 1 {netlab.OUTSIDE4} 7 "
                             "</dev/null; sleep 0.2; done"):
        yield


def test_who_scans_is_found(box):
    """By what is above the rate of new connections; a neighbour that calls one service is not."""
    use(box, rule("scan", "flows-refused", 500, "notify", window="30s", quiet="1h"))
    for tenant in ("acme", "other"):
        box.tenant(tenant)
        box.launch(f"{tenant}/web")
    with quiet(box, "other/web"):
        with scanning(box, "acme/web"):
            case = wait_case(box, "scan", "tenants/acme", 120)
        assert case["value"] >= 500 and case["signal"] == "flows-refused"
        evidence = box.json("abuse", "evidence", str(case["number"]))
        # Whom it called: services are many, and hosts a few.
        assert len({x["port"] for x in evidence["services"]}) == 10, evidence
        assert {x["address"] for x in evidence["peers"]} <= {netlab.OUTSIDE4, NOBODY4}
        assert evidence["connections"] > 100 and evidence["processes"]
        wait_until("the other has been looked at",
                   lambda: box.usage("other/web").get("net_egress_outside_packets", 0) > 50, 60)
        assert not cases(box, "other")


def test_what_is_let_through_is_counted_too(box):
    """Slow enough to be refused nothing, and mail by who may send it."""
    use(box, rule("scan", "connections-out", 20, "notify", quiet="1h"),
        rule("mail", "smtp-out", 20, "notify", quiet="1h"))
    for tenant in ("acme", "sender", "other"):
        box.tenant(tenant)
        box.launch(f"{tenant}/web")
        box.ok("network", "set", tenant, "--smtp", "on")
    with quiet(box, "other/web"):
        with scanning(box, "acme/web", pause=0.01):
            case = wait_case(box, "scan", "tenants/acme", 120)
            # As fast as it goes, and no packet twice.
            assert 20 <= case["value"] <= 100, case
        box.exec("sender/web", "/bin/sh", "-c", MAIL, timeout=120)
        case = wait_case(box, "mail", "tenants/sender", 60)
        assert 20 <= case["value"] <= 30, case
        assert not cases(box, "other")
    assert not [e for e in box.events() if e["type"] == "network.refused"]
    assert {c["rule"] for c in cases(box, "sender")} == {"mail"}


def test_mail_slows_the_tenant_s_network(box):
    """And is over by itself; who may send mail is not touched."""
    use(box, rule("mail", "smtp-refused", 10, "throttle", rate_out=SLOW, window="30s",
                  quiet="1h"))
    for tenant in ("acme", "other"):
        box.tenant(tenant)
        box.launch(f"{tenant}/web", init=[
            "/bin/sh", "-c", f"echo words of {tenant}; exec sleep 100000"])
    box.ok("network", "set", "other", "--smtp", "on")
    for name in ("acme/web", "other/web"):
        box.exec(name, "/bin/sh", "-c", MAIL, timeout=120)
    case = wait_case(box, "mail", "tenants/acme")
    assert case["value"] >= 10
    # Of a tenant the last words of the one that sends most.
    assert "words of acme" in box.json("abuse", "evidence", str(case["number"]))["log_lines"]
    wait_until("it is slowed down", lambda: SLOW in rates(box).values(), 30)
    box.kill9("croftd")
    box.restart("croftd")
    assert SLOW in rates(box).values()
    use(box, rule("mail", "smtp-refused", 10, "throttle", rate_out=SLOW, window="30s"))
    assert wait_over(box, case["number"])["end_reason"] == "over"
    wait_until("it is as it was", lambda: SLOW not in rates(box).values(), 30)
    assert not cases(box, "other")


def test_evidence_has_whom_it_is_connected_with(box):
    """A container's own peers, by the service that was called; a neighbour's are not among them."""
    use(box, rule("sends", "packets-out", 1, "throttle", cpu="50%", quiet="1h"))
    box.tenant(cpu=0.4)
    for name in ("acme/web", "acme/calm"):
        box.launch(name, cpu=0.2)
    there = ["ip", "netns", "exec", box.lab.outside]
    with subprocess.Popen([*there, "busybox", "nc", "-ll", "-p", "7000", "-e", "/bin/cat"]) as echo:
        try:
            wait_until("somebody listens", lambda: box.lab.run(
                "outside", "busybox", "nc", "-w", "1", "127.0.0.1", "7000").returncode == 0)
            call = f"sleep 1000 | nc {netlab.OUTSIDE4} 7000"
            with (box.background_exec("acme/calm", "/bin/sh", "-c", call),
                  box.background_exec("acme/web", "/bin/sh", "-c", f"{call} & {call} & "
                                      f"while :; do ping -c 20 -i 0.1 {netlab.OUTSIDE4}; done")):
                case = wait_case(box, "sends", "tenants/acme/containers/web", 120)
        finally:
            echo.kill()
    number = str(case["number"])
    evidence = box.json("abuse", "evidence", number)
    called = [p for p in evidence["peers"] if p.get("port") == 7000]
    assert [(p["address"], p["protocol"], p["connections"]) for p in called] == [
        (netlab.OUTSIDE4, "tcp", 2)], evidence
    service, = [s for s in evidence["services"] if s.get("port") == 7000]
    assert service["peers"] == 1 and "incoming" not in service
    assert {p["protocol"] for p in evidence["peers"]} == {"tcp", "icmp"}
    assert evidence["connections"] >= 3 and evidence["processes"]
    text = box.ok("abuse", "evidence", number)
    assert re.search(rf"to +tcp +7000  {netlab.OUTSIDE4} +2 ", text), text


def test_mail_suspends_where_a_rule_says_so(box):
    use(box, rule("mail", "smtp-refused", 10, "hold", window="30s", grace="0"))
    box.tenant()
    box.launch("acme/web")
    box.exec("acme/web", "/bin/sh", "-c", MAIL, timeout=120)
    case = wait_case(box, "mail", "tenants/acme")
    box.wait_state("acme/web", "STOPPED", 60)
    box.ok("abuse", "lift", str(case["number"]))
    box.wait_state("acme/web", "RUNNING", 60)
