"""Containers inside a container, where an operator gave the tenant leave: Debian's Podman and crun
run one, as a customer would. What that gives up and what holds is in tests/abuse/test_nested.py."""

import json

import pytest

import kernel
from croft_harness import wait_until

ACME = 4242

# A busybox and its names: the image of the inner container, which comes from no registry.
INNER = """
set -e
mkdir -p /tmp/inner/bin
cp /bin/busybox /tmp/inner/bin/
for name in sh cat echo id sleep; do ln -sf busybox /tmp/inner/bin/$name; done
tar -C /tmp/inner -c . | podman import -q - inner
"""


def booted(daemon, name):
    def state():
        return daemon.exec(name, "/usr/bin/systemctl", "is-system-running").out.strip()

    wait_until("systemd has booted", lambda: state() in ("running", "degraded"), 60, 0.3)


@pytest.mark.vm
def test_podman_runs_a_container(daemon, nesting_image):
    daemon.ok("image", "import", "nesting", nesting_image, timeout=180)
    daemon.ok("tenant", "create", "acme", "--cpu", "2", "--memory", "1G", "--pids", "500",
              "--nesting")
    info = daemon.launch("acme/host", image="nesting", options=["--nesting"], memory="768M")
    assert info["nesting"] and info["policy"] == "policies/nesting"
    booted(daemon, "acme/host")
    failed = daemon.exec("acme/host", "/usr/bin/systemctl", "--failed", "--no-legend").out
    assert not failed.strip(), failed

    daemon.sh("acme/host", INNER, timeout=120)
    run = "podman run --rm --network=none "
    said = daemon.sh("acme/host", run + "inner sh -c 'id -u; cat /proc/1/comm; echo hello'",
                     timeout=60)
    assert said.split() == ["0", "sh", "hello"], said

    # It lives in cgroups of its tenant's, and shares its limits.
    daemon.sh("acme/host", "podman run -d --name stays --network=none inner sleep 1000",
              timeout=60)
    pid = int(daemon.sh("acme/host", "podman inspect -f '{{.State.Pid}}' stays"))
    inside = daemon.sh("acme/host", f"cat /proc/{pid}/comm; ls -l /proc/{pid}/ns/pid /proc/1/ns/pid"
                       " | sed 's/.*-> //' | sort -u | wc -l").split()
    assert inside == ["sleep", "2"], inside
    members = daemon.cgroup("acme/host").processes()
    comms = {kernel.status_field(p, "Name") for p in members}
    assert {"systemd", "conmon", "sleep"} <= comms, comms
    if kernel.driver() == "unified":
        # Its own share of what the container has.
        limited = daemon.sh("acme/host", run + "--memory 64m --pids-limit 20 inner sh -c "
                            "'cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max'", timeout=60)
        assert limited.split() == ["67108864", "20"], limited

    # A command still finds its way in when the supervisor has been killed and adopted it.
    daemon.kill9("supervisor")
    daemon.restart("supervisor")
    said = daemon.sh("acme/host", "podman exec stays cat /proc/1/comm; podman rm -f -t 0 stays",
                     timeout=60)
    assert said.split()[0] == "sleep", said
    daemon.ok("stop", "--timeout", "60", "acme/host", timeout=90)


def test_only_where_an_operator_gave_leave(box):
    box.tenant("acme")
    box.ok("tenant", "bind", "acme", str(ACME))
    box.launch("acme/plain")
    words = box.refused("launch", "busybox", "acme/nest", "--nesting", match="an operator can")
    assert "acme" in words
    box.refused("create", "busybox", "acme/nest", "--nesting", uid=ACME, match="an operator can")
    # The leave is not the tenant's to give.
    box.refused("tenant", "set", "acme", "--nesting", "on", uid=ACME, match="operator|allowed")
    assert "nesting" not in box.json("tenant", "show", "acme")

    assert box.json("tenant", "set", "acme", "--nesting", "on")["nesting"]
    changed = [json.loads(e["details_json"]) for e in box.events() if e["type"] == "tenant.updated"]
    assert changed[-1]["changes"]["nesting"] == {"old": False, "new": True}, changed
    box.ok("create", "busybox", "acme/nest", "--nesting", uid=ACME)
    box.ok("start", "acme/nest", uid=ACME)
    info = box.info("acme/nest")
    assert info["nesting"] and info["policy"] == "policies/nesting"
    assert "nesting" not in box.info("acme/plain")
    # It follows the container, not its files.
    box.ok("copy", "acme/nest", "acme/copy", uid=ACME)
    assert box.info("acme/copy")["nesting"]


def test_leave_that_is_withdrawn(box):
    """What runs goes on; nothing that has it starts again, nor is made, nor copied."""
    box.ok("tenant", "create", "acme", "--nesting")
    box.launch("acme/nest", options=["--nesting"])
    assert "nesting" not in box.json("tenant", "set", "acme", "--nesting", "off")
    assert box.sh("acme/nest", "echo served") == "served\n"
    box.refused("restart", "acme/nest", match="an operator can")
    box.refused("copy", "acme/nest", "acme/copy", match="an operator can")
    box.refused("launch", "busybox", "acme/other", "--nesting", match="an operator can")
    if box.info("acme/nest").get("state") == "RUNNING":
        box.ok("kill", "acme/nest")
    box.refused("start", "acme/nest", match="an operator can")
    box.ok("tenant", "set", "acme", "--nesting", "on")
    box.ok("start", "acme/nest")


def test_leave_and_nesting_outlive_croftd(fresh_box):
    fresh_box.ok("tenant", "create", "acme", "--nesting")
    fresh_box.launch("acme/nest", options=["--nesting"])
    fresh_box.kill9("croftd")
    fresh_box.restart("croftd")
    assert fresh_box.json("tenant", "show", "acme")["nesting"]
    assert fresh_box.info("acme/nest")["nesting"]
    fresh_box.ok("restart", "--timeout", "0", "acme/nest")
    assert "rw" in fresh_box.sh("acme/nest", "grep ' /dev/.croft/proc ' /proc/self/mounts")
