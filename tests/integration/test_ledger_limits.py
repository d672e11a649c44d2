"""Limits that were met are on the bill as the kernel counted them, of a container and of its
tenant, though croftd is killed meanwhile."""

from croft_harness import wait_until
from test_ledger import everything, total

WEB, ACME = "tenants/acme/containers/web", "tenants/acme"
SPIN = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"
CACHE = "dd if=/dev/zero of=/f bs=1M count=64 2>/dev/null; cat /f >/dev/null; rm /f"


def of_container(cgroup):
    return {"cpu.used": cgroup.cpu_usec(), "cpu.throttled": cgroup.throttled_usec(),
            "memory.at_limit": cgroup.memory_at_limit(), "memory.oom": cgroup.oom_kills(),
            "pids.denied": cgroup.pids_denied()}


def of_tenant(cgroup):
    return {"tenant.cpu.used": cgroup.cpu_usec(), "tenant.cpu.throttled": cgroup.throttled_usec(),
            "tenant.memory.at_limit": cgroup.memory_at_limit(),
            "tenant.pids.denied": cgroup.pids_denied_here()}


def peaks(cgroup, prefix):
    found = {prefix + "memory.peak": cgroup.memory_peak()}
    if cgroup.pids_peak() is not None:
        found[prefix + "pids.peak"] = cgroup.pids_peak()
    return found


def meet_all(box):
    """The container's limits of memory and pids, and both limits of the CPU in turn."""
    box.ok("set", "acme/web", "--cpu", "0.3")
    box.sh("acme/web", SPIN, timeout=120)
    box.ok("set", "acme/web", "--cpu", "none")
    box.sh("acme/web", SPIN, timeout=120)
    box.sh("acme/web", CACHE, timeout=120)
    assert box.exec("acme/web", "/probe", "eat", str(96 << 20), "0").rc
    with box.forks("acme/web") as forks:
        assert b"EAGAIN" in forks.stdout.readline()


def test_limits_that_were_met(fresh_box):
    box = fresh_box
    box.tenant(cpu="0.5", memory="96M", pids=100)
    box.launch("acme/web", memory="48M", pids=40)
    box.put_probe("acme/web")
    meet_all(box)
    box.kill9("croftd")
    box.restart("croftd")
    meet_all(box)
    box.ok("freeze", "acme/web")
    web, acme = box.cgroup("acme/web"), box.cgroup("acme")

    def agree():
        found = everything(box)
        mine = [r for r in found if r["resource"] == WEB]
        says = {**of_container(web), **of_tenant(acme)}
        billed = {meter: total(mine if meter in of_container(web) else found, meter)
                  for meter in says}
        return billed == says and (found, says)

    found, says = wait_until("the records are what the kernel counted", agree, 60)
    met = {meter for meter, n in says.items() if n}
    assert met >= set(of_container(web)) | {"tenant.cpu.used", "tenant.cpu.throttled"}
    assert says["memory.oom"] >= 2 and says["pids.denied"] >= 2
    for meter, peak in {**peaks(web, ""), **peaks(acme, "tenant.")}.items():
        of = WEB if meter in peaks(web, "") else ACME
        assert max(int(r["quantity"]) for r in found
                   if r["meter"] == meter and r["resource"] == of) == peak, meter
