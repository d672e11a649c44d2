"""What comes over the network thaws a container that was idle."""

import concurrent.futures
import json

import netlab
from croft_harness import SLOWNESS, wait_until
from networked import kept, lab  # noqa: F401

WAIT = 60
PATIENT = str(int(WAIT * SLOWNESS))


def launch(box):
    """A server, reached at port 8080 of the host, that does nothing else."""
    box.tenant()
    box.launch("acme/db", init=["/bin/sh", "-c", "exec nc -ll -p 80 -e echo hello"],
               options=("--idle-freeze", "2s"))
    box.ok("forward", "add", "acme/db", "8080", "80")


def frozen(box):
    return box.info("acme/db").get("idle_frozen", False)


def until_frozen(box):
    wait_until("it is frozen", lambda: frozen(box), WAIT, 0.2)


def thawed_by(box):
    return [json.loads(e["details_json"]).get("reason") for e in box.events()
            if e["type"] == "container.thawed"]


def fetch(box, address):
    """One connection of somebody outside: what it is answered."""
    return box.lab.run("outside", "busybox", "nc", "-w", PATIENT, address, "8080",
                       timeout=WAIT * SLOWNESS).stdout


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
