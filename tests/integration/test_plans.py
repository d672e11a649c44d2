"""Plans: tenants have their plan's limits, in the kernel, but for those that are their own."""

from croft_harness import wait_until

MIB = 1 << 20


def limits(daemon, tenant):
    return daemon.json("tenant", "show", tenant)["limits"]


def behind(daemon, plan):
    found = daemon.json("plan", "show", plan).get("behind", [])
    return {r["tenant"]: r.get("message", "") for r in found}


class TestPlans:
    def test_life_of_a_plan(self, box):
        assert [p["name"] for p in box.json_lines("plan", "list")] == ["plans/default"]
        box.ok("plan", "create", "small", "--cpu", "0.5", "--memory", "128MiB")
        small = box.json("plan", "show", "small")
        default = box.json("plan", "show", "default")
        assert small["limits"]["cpu_milli"] == 500
        assert small["limits"]["memory_bytes"] == 128 * MIB
        # What was not said is as in `default`.
        assert small["limits"]["pids"] == default["limits"]["pids"] == 256
        box.refused("plan", "create", "small", match="already")
        box.ok("plan", "set", "small", "--pids", "none", "--memory", "256MiB")
        small = box.json("plan", "show", "small")
        assert "pids" not in small["limits"] and small["limits"]["memory_bytes"] == 256 * MIB
        box.ok("plan", "delete", "small")
        box.refused("plan", "show", "small", match="no plan")

    def test_bad_input(self, box):
        assert box.croft("plan", "create", "Small").rc == 2
        box.refused("plan", "create", "small", "--memory", "1", match="memory")
        box.refused("plan", "delete", "default", match="cannot be deleted")
        box.refused("plan", "set", "nothere", "--cpu", "1", match="no plan")
        assert box.croft("plan", "set", "default").rc == 2
        box.refused("tenant", "create", "acme", "--plan", "nothere", match="no plan")
        box.tenant()
        box.refused("tenant", "set", "acme", "--plan", "nothere", match="no plan")
        assert box.croft("tenant", "set", "acme", "--reset", "speed").rc == 2
        box.refused("tenant", "set", "acme", "--cpu", "1", "--reset", "cpu", match="at once")
        assert limits(box, "acme")["cpu_milli"] == 1000

    def test_plan_in_use_stays(self, box):
        box.ok("plan", "create", "small")
        box.ok("tenant", "create", "acme", "--plan", "small")
        box.refused("plan", "delete", "small", match="1 tenant;")
        box.ok("tenant", "set", "acme", "--plan", "default")
        box.ok("plan", "delete", "small")

    def test_tenant_follows_its_plan_in_the_kernel(self, box):
        box.ok("plan", "create", "small", "--memory", "128MiB", "--pids", "100")
        box.ok("tenant", "create", "acme", "--plan", "small", "--pids", "50")
        box.launch("acme/web")
        cgroup = box.cgroup("acme")
        assert (cgroup.memory_max(), cgroup.pids_max()) == (128 * MIB, 50)
        assert box.json("tenant", "show", "acme")["own_limits"] == ["pids"]

        box.ok("plan", "set", "small", "--memory", "192MiB", "--pids", "70")
        assert (cgroup.memory_max(), cgroup.pids_max()) == (192 * MIB, 50)
        box.ok("tenant", "set", "acme", "--reset", "pids")
        assert cgroup.pids_max() == 70
        assert "own_limits" not in box.json("tenant", "show", "acme")

        box.ok("plan", "create", "large", "--memory", "320MiB")
        box.ok("tenant", "set", "acme", "--plan", "large", "--pids", "60")
        assert (cgroup.memory_max(), cgroup.pids_max()) == (320 * MIB, 60)
        tenant = box.json("tenant", "show", "acme")
        assert tenant["plan"] == "large" and tenant["own_limits"] == ["pids"]
        assert box.json("plan", "show", "large")["tenant_count"] == 1
        assert "tenant_count" not in box.json("plan", "show", "small")

    def test_tenant_that_refuses_keeps_its_limits_and_is_named(self, box):
        box.ok("plan", "create", "small", "--memory", "256MiB")
        for name in ("acme", "globex", "initech"):
            box.ok("tenant", "create", name, "--plan", "small")
        box.launch("globex/web", memory="200MiB")
        result = box.croft("plan", "set", "small", "--memory", "128MiB")
        assert result.rc == 0 and "globex keeps its former limits" in result.err, result
        assert limits(box, "acme")["memory_bytes"] == 128 * MIB
        assert limits(box, "initech")["memory_bytes"] == 128 * MIB
        assert limits(box, "globex")["memory_bytes"] == 256 * MIB
        assert box.cgroup("globex").memory_max() == 256 * MIB
        assert list(behind(box, "small")) == ["tenants/globex"]
        assert "globex/web" in behind(box, "small")["tenants/globex"]
        # Setting something else does not touch what it is behind in.
        box.ok("tenant", "set", "globex", "--cpu", "0.5")
        assert limits(box, "globex")["memory_bytes"] == 256 * MIB
        # Out of the way, the next change of the plan reaches it.
        box.ok("set", "globex/web", "--memory", "100MiB")
        box.ok("plan", "set", "small", "--memory", "120MiB")
        assert limits(box, "globex")["memory_bytes"] == 120 * MIB
        assert behind(box, "small") == {}

    def test_plans_outlive_croftd_and_a_cut_off_roll_out_goes_on(self, fresh_box):
        daemon = fresh_box
        daemon.ok("plan", "create", "small", "--memory", "256MiB")
        names = [f"t{i}" for i in range(24)]
        for name in names:
            daemon.ok("tenant", "create", name, "--plan", "small", "--pids", "32")
        # The supervisor takes its time, so that croftd dies in the middle.
        with daemon.held("supervisor"), daemon.background("plan", "set", "small", "--memory",
                                                          "128MiB"):
            wait_until("the plan is committed", lambda: len(behind(daemon, "small")) == len(names))
            daemon.kill9("croftd")
        daemon.restart("croftd")
        wait_until("the rest follows", lambda: behind(daemon, "small") == {})
        for name in names:
            assert limits(daemon, name)["memory_bytes"] == 128 * MIB
            assert limits(daemon, name)["pids"] == 32
            assert daemon.cgroup(name).memory_max() == 128 * MIB

    def test_plans_are_the_operators(self, box):
        box.tenant()
        box.ok("tenant", "bind", "acme", "12345")
        for command in (["list"], ["show", "default"], ["create", "mine"],
                        ["set", "default", "--cpu", "8"], ["delete", "default"]):
            box.refused("plan", *command, uid=12345, match="operator")


def test_change_of_a_plan_with_many_tenants(box):
    """One tenant after the other, answered once: no deep stack, no lost tenant."""
    count = 200
    box.ok("plan", "create", "small", "--pids", "40")
    with box.api() as api:
        for i in range(count):
            api.call("Tenants/CreateTenant", {"tenant_id": f"t{i}", "tenant": {"plan": "small"}})
    box.ok("plan", "set", "small", "--pids", "41", timeout=60)
    found = {t["limits"]["pids"] for t in box.json_lines("tenant", "list")}
    assert found == {41}
    assert box.json("plan", "show", "small")["tenant_count"] == count
