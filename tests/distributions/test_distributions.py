"""Distributions other than the one that every run boots: older and newer Debian with systemd,
Debian with sysvinit and with runit. Each is imported as mmdebstrap packed it, boots, is used,
reboots from inside and is stopped by its own init."""

import os
import time

import pytest

from croft_harness import wait_until
from fixtures import IMAGES

# systemd 247's logind insists on a procfs of its own, which a container whose /proc is masked in
# places cannot mount; later ones do without.
WITHOUT_LOGIND = ("test $(systemctl is-system-running) = degraded && "
                  "test \"$(systemctl --failed --no-legend --plain | cut -d' ' -f1)\" = "
                  "systemd-logind.service")
# name: (comm of pid 1, what says that it has booted, how it is rebooted)
DISTRIBUTIONS = {
    "debian13": ("systemd", "systemctl is-system-running | grep -qx running", "reboot"),
    "debian11": ("systemd", WITHOUT_LOGIND, "reboot"),
    "sysvinit": ("init", "runlevel | grep -qx 'N 2'", "reboot"),
    "runit": ("runit", "pgrep -x runsvdir >/dev/null", "init 6"),
}


def booted(box, name, condition):
    def is_booted():
        return box.exec(name, "/bin/sh", "-c", condition).rc == 0

    wait_until("it has booted", is_booted, 60, 0.2)


@pytest.mark.parametrize("image", DISTRIBUTIONS)
def test_whole_life(box, image):
    path = os.path.join(IMAGES, "distributions", image + ".tar.zst")
    if not os.path.isfile(path):
        pytest.skip(f"{path} is not there; make test-images makes it")
    comm, condition, reboot = DISTRIBUTIONS[image]
    name = f"acme/{image}"
    box.ok("image", "import", image, path, timeout=180)
    shown = box.json("image", "show", image)
    assert shown["init"] == "/sbin/init" and "application" not in shown
    box.tenant(memory="1G", cpu="2", pids=300)
    box.launch(name, image=image)
    booted(box, name, condition)
    assert box.sh(name, "cat /proc/1/comm").strip() == comm

    # It is used: a user with a password-less login, files, its own name.
    box.sh(name, "useradd -m bob && su bob -c 'touch ~/mine && id -un' | grep -qx bob")
    assert box.exec(name, "/bin/sh", "-c", "id -u", options=["-u", "bob"]).out.strip() == "1000"
    assert box.sh(name, "hostname || cat /proc/sys/kernel/hostname").strip() == image

    # A reboot from inside is a new run of the same disk.
    first = box.info(name)["run"]["id"]
    box.exec(name, "/bin/sh", "-c", reboot)
    wait_until("it is back", lambda: box.info(name).get("run", {}).get("id") != first
               and box.info(name).get("state") == "RUNNING", 60)
    booted(box, name, condition)
    assert box.sh(name, "ls /home/bob").strip() == "mine"

    # Its own init ends it, well before it would be killed. (runit takes 14 seconds.)
    start = time.monotonic()
    box.ok("stop", "--timeout", "60", name, timeout=90)
    assert time.monotonic() - start < 50
    assert box.info(name)["run"]["exit"]["kind"] in (
        "POWEROFF", "REBOOT"), box.info(name)


def test_nesting_gives_logind_its_procfs(box):
    """What Debian 11's logind lacks otherwise: with nesting its whole system runs."""
    path = os.path.join(IMAGES, "distributions", "debian11.tar.zst")
    if not os.path.isfile(path):
        pytest.skip(f"{path} is not there; make test-images makes it")
    if box.croft("image", "show", "debian11").rc != 0:
        box.ok("image", "import", "debian11", path, timeout=180)
    box.tenant(memory="1G", cpu="2", pids=300)
    box.ok("tenant", "set", "acme", "--nesting", "on")
    box.launch("acme/nested", image="debian11", options=("--nesting",))
    booted(box, "acme/nested", "systemctl is-system-running | grep -qx running")
    box.sh("acme/nested", "systemctl is-active systemd-logind && loginctl list-sessions")
    box.ok("stop", "--timeout", "60", "acme/nested", timeout=90)
