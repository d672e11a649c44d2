"""What comes over the network thaws a container that was idle; its neighbours' noise does not."""

import concurrent.futures
import json

import pytest

import netlab
from croft_harness import SLOWNESS, wait_until
from networked import kept, lab  # noqa: F401

WAIT = 60
PATIENT = str(int(WAIT * SLOWNESS))


def serve(box, name):
    box.launch(name, init=["/bin/sh", "-c", "exec nc -ll -p 80 -e echo hello"],
               options=("--idle-freeze", "2s"))


def launch(box):
    """A server, reached at port 8080 of the host, that does nothing else."""
    box.tenant()
    serve(box, "acme/db")
    box.ok("forward", "add", "acme/db", "8080", "80")


def frozen(box, name="acme/db"):
    return box.info(name).get("idle_frozen", False)


def until_frozen(box, name="acme/db"):
    wait_until("it is frozen", lambda: frozen(box, name), WAIT, 0.2)


def thawed_by(box, name="db"):
    return [json.loads(e["details_json"]).get("reason") for e in box.events()
            if e["type"] == "container.thawed" and e["resource"].endswith("/" + name)]


def fetch(box, address):
    """One connection of somebody outside: what it is answered."""
    return box.lab.run("outside", "busybox", "nc", "-w", PATIENT, address, "8080",
                       timeout=WAIT * SLOWNESS).stdout


@pytest.mark.vm
def test_a_forwarded_connection_wakes_it(box):
    launch(box)
    for address in (netlab.HOST4, netlab.HOST6):
        until_frozen(box)
        assert fetch(box, address) == "hello\n"
    until_frozen(box)
    assert thawed_by(box).count("network") >= 2


def test_a_neighbour_wakes_it(box):
    """What is no packet of its own (ARP, ND, multicast) is left out by the counter:
    test_net_tables.py."""
    launch(box)
    until_frozen(box)
    box.launch("acme/web")
    assert box.sh("acme/web", f"nc -w {PATIENT} db 80", timeout=WAIT * SLOWNESS) == "hello\n"
    wait_until("that is told", lambda: "network" in thawed_by(box), WAIT, 0.2)


def test_neighbours_noise_does_not_wake_it(box):
    """What is asked of everybody, and what the bridge sends to every port, as it has forgotten
    whose it is. Of two that sleep the other one is woken afterwards: croftd has looked by then."""
    launch(box)
    serve(box, "acme/other")
    for name in ("acme/web", "acme/gone"):
        box.launch(name)
    gone = box.info("acme/gone")["ipv4_address"]
    box.ok("delete", "--force", "acme/gone")
    until_frozen(box)
    until_frozen(box, "acme/other")
    box.exec("acme/web", "/bin/ping", "-c", "1", "-W", "1", gone)
    box.exec("acme/web", "/bin/ping", "-c", "1", "-W", "1", "ff02::1%eth0")
    box.sh("acme/web", f"arp -s {gone} 02:cf:09:09:09:09")
    box.exec("acme/web", "/bin/ping", "-c", "3", "-W", "1", gone)
    assert box.sh("acme/web", f"nc -w {PATIENT} other 80", timeout=WAIT * SLOWNESS) == "hello\n"
    wait_until("that is told", lambda: "network" in thawed_by(box, "other"), WAIT, 0.2)
    assert thawed_by(box) == []


def test_what_came_while_nobody_looked_wakes_it(box):
    """croftd is gone when a connection is made, and its successor sees that one was."""
    launch(box)
    until_frozen(box)
    box.kill9("croftd")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        page = pool.submit(fetch, box, netlab.HOST4)
        # By the kernel: the container itself stands still.
        wait_until("it is connected", lambda: any(
            ":8080" in line and "SYN-SENT" not in line for line in
            box.lab.run("outside", "ss", "-Htan").stdout.splitlines()), WAIT)
        box.restart("croftd")
        assert page.result() == "hello\n"
    wait_until("that is told", lambda: "network" in thawed_by(box), WAIT, 0.2)
