"""What comes over the network thaws a container that was idle; its neighbours' noise does not."""

import concurrent.futures
import json
import time

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
    assert thawed_by(box) == ["network"] * 2


def test_a_neighbour_wakes_it_but_its_noise_does_not(box):
    launch(box)
    until_frozen(box)
    for i in range(3):
        box.launch(f"acme/web{i}")
    # Asked for with ARP and ND by those who start, and for addresses that nobody has.
    gone = box.info("acme/web2")["ipv4_address"]
    box.ok("delete", "--force", "acme/web2")
    box.exec("acme/web0", "/bin/ping", "-c", "2", "-W", "1", gone)
    box.exec("acme/web0", "/bin/ping", "-c", "2", "-W", "1", "ff02::1%eth0")
    time.sleep(3)
    assert frozen(box) and thawed_by(box) == []
    assert box.sh("acme/web0", f"nc -w {PATIENT} db 80", timeout=WAIT * SLOWNESS) == "hello\n"
    assert thawed_by(box) == ["network"]


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
    wait_until("that is told", lambda: thawed_by(box) == ["network"], WAIT, 0.2)
