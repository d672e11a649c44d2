"""Networks: addresses from the operator's pools, set before init runs, kept over restarts of
everything; containers of a tenant reach each other. The host is a network namespace."""

import ipaddress

import pytest

import kernel
import netlab
from croft_harness import wait_until
from networked import POOLS, addresses, host_links, kept, lab, lookup, ping  # noqa: F401


class TestAddresses:
    def test_outlast_a_hold(self, box):
        """Frozen, stopped when its grace is over, and back: with the addresses that it had."""
        box.tenant()
        box.launch("acme/web")
        info, inside = box.info("acme/web"), addresses(box, "acme/web")
        box.ok("tenant", "suspend", "acme", "--type", "billing", "--grace", "1s")
        box.wait_state("acme/web", "STOPPED", 30)
        box.ok("tenant", "resume", "acme", "--type", "billing")
        # Who comes before it is back is given others.
        box.launch("acme/late")
        after = box.wait_state("acme/web", "RUNNING", 30)
        for key in ("ipv4_address", "ipv6_address"):
            assert after[key] == info[key] != box.info("acme/late")[key]
        assert addresses(box, "acme/web") == inside
        assert not addresses(box, "acme/late")[0] & inside[0]

    def test_set_before_init_runs(self, box):
        """What init itself sees first, without waiting for anything."""
        box.tenant()
        script = "ip addr; ip route; ip -6 route; cat /proc/sys/net/ipv6/conf/eth0/accept_ra"
        box.launch("acme/web", init=["/bin/sh", "-c", f"{script}; echo done; sleep 1000"])
        log = wait_until("it has told", lambda: "done" in (x := box.ok("logs", "acme/web")) and x)
        info = box.info("acme/web")
        assert f"inet {info['ipv4_address']}/24" in log
        assert f"inet6 {info['ipv6_address']}/64" in log and "tentative" not in log
        network = box.json("network", "show", "acme")
        assert f"default via {network['ipv4_gateway']} dev eth0" in log
        assert f"default via {network['ipv6_gateway']} dev eth0" in log
        assert log.splitlines()[-2] == "0"

    def test_from_the_pools_and_shown(self, box):
        box.tenant()
        info = box.launch("acme/web")
        network = box.json("network", "show", "acme")
        assert ipaddress.ip_address(info["ipv4_address"]) in ipaddress.ip_network("10.80.0.0/12")
        assert ipaddress.ip_address(info["ipv4_address"]) in ipaddress.ip_network(
            network["ipv4_subnet"])
        assert ipaddress.ip_address(info["ipv6_address"]) in ipaddress.ip_network(
            network["ipv6_subnet"])
        assert network["addresses_used"] == 1 and network["addresses_max"] == 253
        assert addresses(box, "acme/web") == (
            {f"{info['ipv4_address']}/24"}, {f"{info['ipv6_address']}/64"})
        assert info["ipv4_address"] in box.ok("list")
        assert info["ipv6_address"] in box.ok("info", "acme/web")
        host = box.json("host", "info")
        assert host["ipv4_pool"] == "10.80.0.0/12" and host["ipv6_pool"] == "fd00:80::/48"
        assert host["networks_max"] == 4096 and host["bridge_prefix"] == "cft"

    def test_kept_over_restarts_and_given_to_nobody_else(self, box):
        box.tenant()
        first = box.launch("acme/web")["ipv4_address"]
        second = box.launch("acme/db")["ipv4_address"]
        assert first != second
        box.ok("restart", "--timeout", "0", "acme/web")
        assert box.info("acme/web")["ipv4_address"] == first
        assert addresses(box, "acme/web")[0] == {f"{first}/24"}
        box.ok("kill", "acme/web")
        box.wait_state("acme/web", "STOPPED")
        assert box.info("acme/web")["ipv4_address"] == first
        assert box.launch("acme/other")["ipv4_address"] not in (first, second)
        # Given back by a deletion, but not given again at once.
        box.ok("delete", "--force", "acme/db")
        assert box.launch("acme/db")["ipv4_address"] != second

    def test_create_has_its_address_before_it_runs(self, box):
        box.tenant()
        box.ok("create", "busybox", "acme/web")
        address = box.info("acme/web")["ipv4_address"]
        box.ok("start", "acme/web")
        assert addresses(box, "acme/web")[0] == {f"{address}/24"}

    def test_a_copy_has_a_place_of_its_own(self, box):
        box.tenant()
        first = box.launch("acme/web")
        box.ok("copy", "acme/web", "acme/twin")
        box.ok("start", "acme/twin")
        twin = box.info("acme/twin")
        assert twin["ipv4_address"] != first["ipv4_address"]
        assert ping(box, "acme/twin", "web").rc == 0

    def test_a_new_name_is_found_and_the_old_one_not(self, box):
        box.tenant()
        box.launch("acme/web")
        before = box.launch("acme/db")["ipv4_address"]
        box.ok("kill", "acme/db")
        box.wait_state("acme/db", "STOPPED")
        box.ok("rename", "acme/db", "store")
        box.ok("start", "acme/store")
        assert lookup(box, "acme/web", "store") == before
        assert lookup(box, "acme/web", "db") is None

    def test_no_network(self, box):
        box.tenant()
        info = box.launch("acme/alone", options=["--no-network"])
        assert info["no_network"] and "ipv4_address" not in info
        assert box.sh("acme/alone", "ls /sys/class/net").split() == ["lo"]
        box.ok("restart", "--timeout", "0", "acme/alone")
        assert box.sh("acme/alone", "ls /sys/class/net").split() == ["lo"]
        assert kernel.links(box.netns) == {"lo", "uplink"}

    def test_loopback_is_up(self, box):
        box.tenant()
        box.launch("acme/web")
        assert ping(box, "acme/web", "127.0.0.1").rc == 0


class TestReach:
    def test_containers_of_a_tenant(self, box):
        box.tenant()
        box.launch("acme/web")
        other = box.launch("acme/db")
        for key in ("ipv4_address", "ipv6_address"):
            result = ping(box, "acme/web", other[key])
            assert result.rc == 0, result

    def test_the_gateway(self, box):
        box.tenant()
        box.launch("acme/web")
        network = box.json("network", "show", "acme")
        for key in ("ipv4_gateway", "ipv6_gateway"):
            result = ping(box, "acme/web", network[key])
            assert result.rc == 0, result

    def test_tenants_have_bridges_of_their_own(self, box):
        box.tenant("acme")
        box.tenant("other")
        box.launch("acme/web")
        box.launch("other/web")
        names = {box.json("network", "show", t)["bridge"] for t in ("acme", "other")}
        assert len(names) == 2
        links = {link["ifname"]: link for link in host_links(box)}
        assert {n for n, l in links.items()
                if l.get("linkinfo", {}).get("info_kind") == "bridge"} == names
        ports = {l["master"] for l in links.values() if l.get("master")}
        assert ports == names
        for name in names:
            assert links[name]["linkinfo"]["info_data"]["stp_state"] == 0
            ra = box.lab.run("host", "cat", f"/proc/sys/net/ipv6/conf/{name}/accept_ra")
            assert ra.stdout == "0\n"


class TestHolding:
    def test_the_bridge_goes_with_the_tenant(self, box):
        box.tenant()
        box.launch("acme/web")
        bridge = box.json("network", "show", "acme")["bridge"]
        assert bridge in kernel.links(box.netns)
        box.ok("delete", "--force", "acme/web")
        box.ok("tenant", "delete", "acme")
        assert bridge not in kernel.links(box.netns)

    def test_the_cable_goes_with_the_run(self, box):
        box.tenant()
        box.launch("acme/web")
        before = kernel.links(box.netns)
        box.ok("kill", "acme/web")
        box.wait_state("acme/web", "STOPPED")
        wait_until("its cable is gone",
                   lambda: len(kernel.links(box.netns)) == len(before) - 1)

    def test_a_start_that_fails_leaves_no_cable(self, box):
        box.tenant()
        box.launch("acme/web")
        before = kernel.links(box.netns)
        box.refused("launch", "busybox", "acme/bad", "--", "/no/such/init")
        assert kernel.links(box.netns) == before
        assert box.json("network", "show", "acme")["addresses_used"] == 1

    def test_somebody_elses_interface_is_refused_and_left(self, box):
        box.tenant("first")
        box.launch("first/web")
        number = box.json("network", "show", "first")["number"]
        taken = f"cft{number + 1}"
        netlab.ip("link", "add", taken, "type", "bridge", netns=box.netns)
        try:
            box.tenant("second")
            box.refused("launch", "busybox", "second/web", match="bridge prefix")
            box.ok("tenant", "delete", "second")
            assert taken in kernel.links(box.netns)
        finally:
            netlab.ip("link", "del", taken, netns=box.netns)


class TestCrash:
    @pytest.mark.parametrize("which", ["supervisor", "croftd", "both"])
    def test_kill_9(self, box, which):
        box.tenant()
        web, db = box.launch("acme/web"), box.launch("acme/db")
        dead = ["croftd", "supervisor"] if which == "both" else [which]
        for daemon in dead:
            box.kill9(daemon)
        box.restart(*dead)
        for name, before in (("acme/web", web), ("acme/db", db)):
            assert box.info(name)["ipv4_address"] == before["ipv4_address"]
        assert ping(box, "acme/web", db["ipv4_address"]).rc == 0
        # What comes after finds the bridge that is there, and no place is given twice.
        new = box.launch("acme/new")
        assert new["ipv4_address"] not in (web["ipv4_address"], db["ipv4_address"])
        assert ping(box, "acme/new", web["ipv6_address"]).rc == 0
        box.ok("restart", "--timeout", "0", "acme/web")
        assert addresses(box, "acme/web")[0] == {f"{web['ipv4_address']}/24"}

    def test_a_container_that_ended_unseen(self, box):
        box.tenant()
        web = box.launch("acme/web")
        box.kill9("supervisor")
        box.kill_all()
        box.restart("supervisor")
        box.wait_state("acme/web", "STOPPED")
        box.ok("start", "acme/web")
        assert addresses(box, "acme/web")[0] == {f"{web['ipv4_address']}/24"}


class TestShards:
    def test_more_containers_than_a_bridge_has_ports(self, lab, bare_daemon):
        """Two ports a bridge: five containers are on three bridges, and one network."""
        box = bare_daemon
        box.netns, box.lab = lab.host, lab
        box.start(*POOLS, "--dns", netlab.HOST4, "--bridge-ports", "2")
        box.busybox()
        box.tenant()
        box.tenant("other")
        infos = {f"acme/c{i}": box.launch(f"acme/c{i}") for i in range(5)}
        links = {link["ifname"]: link for link in host_links(box)}
        bridge = box.json("network", "show", "acme")["bridge"]
        bridges = {bridge, f"{bridge}.1", f"{bridge}.2"}
        assert {n for n, l in links.items()
                if l.get("linkinfo", {}).get("info_kind") == "bridge"} == bridges
        for name in bridges - {bridge}:
            assert links[f"{name}u"]["master"] == bridge and links[f"{name}d"]["master"] == name
        ports = [l["master"] for n, l in links.items() if n.startswith(f"{bridge}-")]
        assert sorted(ports.count(name) for name in bridges) == [1, 2, 2]
        for name, other in (("acme/c0", "acme/c4"), ("acme/c4", "acme/c2"), ("acme/c3", "acme/c1")):
            for key in ("ipv4_address", "ipv6_address"):
                assert ping(box, name, infos[other][key]).rc == 0, (name, other, key)
            assert lookup(box, name, other.removeprefix("acme/")) == infos[other]["ipv4_address"]
        for name in infos:
            assert ping(box, name, netlab.OUTSIDE4).rc == 0, name
        # The control: this shape does not let other tenants in.
        box.launch("other/web")
        assert ping(box, "other/web", infos["acme/c4"]["ipv4_address"]).rc != 0
        for daemon in ("croftd", "supervisor"):
            box.kill9(daemon)
        box.restart("croftd", "supervisor")
        assert ping(box, "acme/c0", infos["acme/c4"]["ipv4_address"]).rc == 0
        box.launch("acme/c5")
        assert ping(box, "acme/c5", "c0").rc == 0
        box.ok("tenant", "delete", "--force", "acme")
        assert not {n for n in kernel.links(lab.host) if n.startswith(bridge)}


class TestLimits:
    def test_addresses_run_out_with_a_sentence(self, schema, lab, bare_daemon):
        bare_daemon.netns = lab.host
        bare_daemon.start("--ipv4-pool", "192.168.7.0/28", "--ipv4-tenant-prefix", "29")
        bare_daemon.busybox()
        for tenant in ("acme", "other"):
            bare_daemon.tenant(tenant)
        for i in range(5):
            bare_daemon.ok("create", "busybox", f"acme/c{i}")
        bare_daemon.refused("create", "busybox", "acme/more", match="all 5 addresses")
        bare_daemon.ok("create", "--no-network", "busybox", "acme/more")
        bare_daemon.ok("create", "busybox", "other/web")
        bare_daemon.tenant("third")
        bare_daemon.refused("create", "busybox", "third/web", match="all 2 networks")
        # What a deletion gives back is given again when nothing else is left.
        bare_daemon.ok("delete", "acme/c2")
        bare_daemon.ok("create", "busybox", "acme/again")
        bare_daemon.ok("tenant", "delete", "--force", "other")
        bare_daemon.ok("create", "busybox", "third/web")

    def test_a_pool_that_came_later(self, lab, bare_daemon):
        bare_daemon.netns = lab.host
        bare_daemon.start()
        bare_daemon.busybox()
        bare_daemon.tenant()
        info = bare_daemon.launch("acme/web")
        assert "ipv4_address" not in info
        assert bare_daemon.sh("acme/web", "ls /sys/class/net").split() == ["lo"]
        assert kernel.links(lab.host) == {"lo", "uplink"}
        bare_daemon.terminate("croftd")
        bare_daemon.start("--ipv4-pool", "10.80.0.0/12")
        bare_daemon.ok("restart", "--timeout", "0", "acme/web")
        address = bare_daemon.info("acme/web")["ipv4_address"]
        assert addresses(bare_daemon, "acme/web") == ({f"{address}/24"}, set())
