"""What tests/vm/carry makes on one host, and test_carried.py takes to another."""

import json
import os

from croft_harness import ROOT, wait_until

DIRECTORY = os.path.join(ROOT, "build", "vm", "carried")
FILE = "debian.croft"
MADE = "made.json"


def path():
    return os.path.join(DIRECTORY, FILE)


def read():
    """Where it was made, and the lists of what is in it."""
    made = os.path.join(DIRECTORY, MADE)
    assert os.path.isfile(made), f"{made} is not there: tests/vm/run makes it, and says why not"
    with open(made, encoding="utf-8") as f:
        return json.load(f)


def wait_booted(box, name):
    def state():
        return box.exec(name, "/usr/bin/systemctl", "is-system-running").out.strip()

    wait_until(f"{name} has booted", lambda: state() in ("running", "degraded"), 120, 0.3)
    assert state() == "running", box.exec(name, "/usr/bin/systemctl", "--failed").out


def id_base(box, name):
    """Where its ids begin on this host."""
    with open(f"/proc/{box.init_pid(name)}/uid_map", encoding="ascii") as f:
        return int(f.read().split()[1])
