"""Limits of network rates, end to end: asked for on the command line, held by the kernel, kept over
restarts of everything. In depth: test_net_shape.py."""

import json
import re
import subprocess

import pytest

import kernel
import netlab
from croft_harness import wait_until
from iperf import measure, near
from networked import host_links, kept, lab  # noqa: F401

MB = 1000 * 1000
FRAME, PACKET = 1514, 1500  # a rate is of packets, the kernel's of frames (sandbox/net_shape.c)


def inside(box, name):
    """What a command of the host's is prefixed with, to run in a container's network."""
    return ["nsenter", "-t", str(box.info(name)["run"]["host_pid"]), "-n"]


def outside(box):
    return ["ip", "netns", "exec", box.lab.outside]


def rates(box):
    """{interface: bytes of packets a second} of every token bucket of the host's."""
    text = netlab.ip("netns", "exec", box.netns, "tc", "-j", "qdisc", "show")
    found = {}
    for qdisc in json.loads(text):
        if qdisc["kind"] == "tbf":
            rate = qdisc["options"]["rate"]
            found[qdisc["dev"]] = round(rate * PACKET / FRAME, -3)
    return found


def ports(box):
    """The tenant's bridge and its one container's port."""
    links = host_links(box)
    bridge = next(x["ifname"] for x in links if x.get("linkinfo", {}).get("info_kind") == "bridge")
    port = next(x["ifname"] for x in links if x.get("master") == bridge)
    return bridge, port


def test_a_containers_rates_are_held_and_change_live(box):
    box.tenant()
    box.launch("acme/web", options=["--rate-in", "2MB", "--rate-out", "1MB"])
    box.launch("acme/free")
    assert measure(inside(box, "acme/free"), outside(box), netlab.OUTSIDE4, seconds=1) > 20 * MB
    web = inside(box, "acme/web")
    near(lambda: measure(web, outside(box), netlab.OUTSIDE4), MB)
    near(lambda: measure(web, outside(box), netlab.OUTSIDE4, "-R"), 2 * MB)
    box.ok("set", "acme/web", "--rate-out", "4MB")
    near(lambda: measure(web, outside(box), netlab.OUTSIDE4), 4 * MB)
    info = box.info("acme/web")["limits"]
    assert (info["rate_in_bytes"], info["rate_out_bytes"]) == (2 * MB, 4 * MB)
    assert "1.9 MiB/s" in box.ok("info", "acme/web")
    box.ok("set", "acme/web", "--rate-in", "none", "--rate-out", "none")
    assert measure(web, outside(box), netlab.OUTSIDE4, seconds=1) > 20 * MB
    assert not rates(box)


def test_a_tenants_rates_are_of_all_its_containers(box):
    box.tenant()
    box.launch("acme/web")
    shown = box.json("network", "set", "acme", "--rate-in", "3MB", "--rate-out", "2MB")
    assert (shown["rate_in_bytes"], shown["rate_out_bytes"]) == (3 * MB, 2 * MB)
    assert "2.8 MiB/s" in box.ok("network", "show", "acme")
    near(lambda: measure(inside(box, "acme/web"), outside(box), netlab.OUTSIDE4), 2 * MB)
    near(lambda: measure(inside(box, "acme/web"), outside(box), netlab.OUTSIDE4, "-R"), 3 * MB)
    # Between its containers there is no limit.
    address = box.launch("acme/db")["ipv4_address"]
    assert measure(
        inside(box, "acme/web"), inside(box, "acme/db"), address, seconds=1) > 20 * MB


@pytest.mark.vm
def test_the_first_container_finds_its_tenants_rates(box):
    """What was set before the tenant had a network is there with its bridge."""
    box.tenant()
    box.ok("network", "set", "acme", "--rate-in", "3MB")
    box.ok("tenant", "set", "acme", "--rate-out", "2MB")
    assert box.json("network", "show", "acme")["rate_out_bytes"] == 2 * MB
    assert not rates(box)
    box.launch("acme/web")
    bridge, _ = ports(box)
    assert rates(box) == {bridge: 3 * MB, f"{bridge}o": 2 * MB}


def test_kept_over_restarts_of_everything(box):
    box.tenant()
    box.ok("tenant", "set", "acme", "--rate-in", "8MB")
    box.launch("acme/web", options=["--rate-in", "2MB", "--rate-out", "1MB"])
    bridge, port = ports(box)
    held = {bridge: 8 * MB, port: 2 * MB, f"{port}o": MB}
    assert rates(box) == held
    for daemon in ("croftd", "supervisor"):
        box.kill9(daemon)
    # Somebody took it off meanwhile: croftd's first word puts a tenant's back.
    netlab.ip("netns", "exec", box.netns, "tc", "qdisc", "del", "dev", bridge, "root")
    box.restart("croftd", "supervisor")
    wait_until("all is held again", lambda: rates(box) == held)
    # And it still changes live: the supervisor knows the place of a container that it adopted.
    box.ok("set", "acme/web", "--rate-in", "4MB")
    held[port] = 4 * MB
    assert rates(box) == held
    box.ok("restart", "--timeout", "0", "acme/web")
    assert rates(box) == held
    box.ok("stop", "--timeout", "0", "acme/web")
    assert rates(box).keys() == {bridge}
    # A queue that nobody leads to any more goes, too.
    assert not kernel.links(box.netns) & {f"{port}o"}
    box.ok("start", "acme/web")
    assert rates(box) == held


def test_nothing_is_left_of_a_supervisor_that_was_killed_at_the_end_of_a_run(box):
    box.tenant()
    box.launch("acme/web", options=["--rate-out", "1MB"])
    _, port = ports(box)
    box.kill9("supervisor")
    box.ok("version")
    pid = box.info("acme/web")["run"]["host_pid"]
    subprocess.run(["kill", "-9", str(pid)], check=True)
    box.restart("supervisor")
    box.wait_state("acme/web", "STOPPED")
    wait_until("its queue is gone", lambda: f"{port}o" not in kernel.links(box.netns))


def test_what_cannot_be_is_refused(box):
    box.tenant()
    box.ok("network", "set", "acme", "--rate-in", "1MB")
    box.refused("launch", "busybox", "acme/web", "--rate-in", "2MB", match="above the tenant's")
    box.launch("acme/web", options=["--rate-in", "500KB"])
    box.refused("set", "acme/web", "--rate-in", "2MB", match="above the tenant's")
    box.refused("tenant", "set", "acme", "--rate-in", "100KB", match="acme/web stands in the way")
    box.refused("set", "acme/web", "--rate-in", "100", match="outside")
    for bad in ("fast", "10MiB/s", "500iops", "-1"):
        assert box.croft("set", "acme/web", "--rate-in", bad).rc == 2
    _, port = ports(box)
    assert rates(box)[port] == 500000


def test_without_a_network_there_is_nothing_to_hold(box):
    box.tenant()
    box.launch("acme/alone", options=["--no-network", "--rate-in", "1MB"])
    box.ok("set", "acme/alone", "--rate-in", "2MB")
    assert box.info("acme/alone")["limits"]["rate_in_bytes"] == 2 * MB
    assert not rates(box)


def test_a_plans_rates_reach_its_tenants(box):
    box.ok("plan", "create", "slow", "--cpu", "1", "--rate-out", "2MB")
    box.ok("tenant", "create", "acme", "--plan", "slow")
    box.launch("acme/web")
    bridge, _ = ports(box)
    assert rates(box) == {f"{bridge}o": 2 * MB}
    box.ok("plan", "set", "slow", "--rate-out", "3MB", "--rate-in", "1MB")
    assert rates(box) == {f"{bridge}o": 3 * MB, bridge: MB}
    assert re.search(r"rate in\s+976\.5 KiB/s", box.ok("tenant", "show", "acme"))
