"""Times of being held by a limit are told when they have begun, and when they are over."""

import json

import pytest

from croft_harness import wait_until

MIB = 1 << 20


def found(box, kind, resource):
    return [json.loads(e["details_json"]) for e in box.events()
            if e["type"] == kind and e["resource"] == resource]


def wait_told(box, kind, resource, times=1):
    wait_until(f"{kind} of {resource}", lambda: len(found(box, kind, resource)) >= times, 60)
    return found(box, kind, resource)[-1]


# Not in the machine: limits so small are not held evenly where every instruction is emulated.
def test_cpu(box):
    """A container by its own limit, and a tenant by that of all its containers. Limits so small
    that a host with much else to do gives them that much. But the kernel looks at ticks: who may
    have 2 ms of each 100 runs for a tick, of up to 10 ms, and then waits until it is even. A
    tenant that could not take as much at once would be held by that one alone."""
    web, calm = "tenants/acme/containers/web", "tenants/calm/containers/web"
    box.tenant(cpu=1)
    box.launch("acme/web", cpu=1)
    box.launch("acme/db")
    box.ok("set", "acme/web", "--cpu", "0.02")
    box.ok("tenant", "set", "acme", "--cpu", "0.15")
    box.tenant("calm", cpu=1)
    box.launch("calm/web", cpu=0.5)
    with box.background_exec("acme/web", "/bin/sh", "-c", "while :; do :; done"):
        begun = wait_told(box, "container.cpu_throttled", web)
        assert begun["limit"] == 20 and begun["throttled_usec"] > 0
        assert not found(box, "tenant.cpu_throttled", "tenants/acme")
        with box.background_exec("acme/db", "/bin/sh", "-c", "while :; do :; done"):
            begun = wait_told(box, "tenant.cpu_throttled", "tenants/acme")
            assert begun["limit"] == 150
        wait_told(box, "tenant.cpu_unthrottled", "tenants/acme")
        # It goes on, and is told once, also by the next croftd.
        box.kill9("croftd")
        box.restart("croftd")
    over = wait_told(box, "container.cpu_unthrottled", web)
    assert over["seconds"] >= 1 and over["throttled_usec"] > 0
    assert len(found(box, "container.cpu_throttled", web)) == 1
    # Who is not held hears nothing of it.
    assert not found(box, "container.cpu_throttled", calm)
    assert not found(box, "tenant.cpu_throttled", "tenants/calm")


def test_cpu_of_the_tenant_alone(box):
    """What holds all of it back holds no container by its own limit, and is shown of the tenant."""
    box.tenant(cpu=0.15)
    box.launch("acme/web")
    with box.background_exec("acme/web", "/bin/sh", "-c", "while :; do :; done"):
        wait_told(box, "tenant.cpu_throttled", "tenants/acme")
        assert box.usage("acme")["cpu_throttled_usec"] > 0
    assert box.usage("acme/web").get("cpu_throttled_usec", 0) == 0


@pytest.mark.vm
def test_memory(box):
    """All in use, and met again and again; files that are merely cached are not that. What is left
    is more than one reading ahead takes: readers would be killed for less."""
    web, cached = (f"tenants/acme/containers/{name}" for name in ("web", "cached"))
    box.tenant(memory="512M")
    box.launch("acme/web", memory="128M")
    box.launch("acme/cached", memory="64M")
    reading = "while :; do cat /big >/dev/null; done"
    # Written while there is room: what is not on disk yet can't be let go, and is killed for.
    for name in ("acme/web", "acme/cached"):
        box.sh(name, "dd if=/dev/zero of=/big bs=1M count=96 && sync")
    with box.background_exec("acme/cached", "/bin/sh", "-c", reading):
        box.sh("acme/web", "dd if=/dev/zero of=/dev/shm/fill bs=1M count=118")
        with box.background_exec("acme/web", "/bin/sh", "-c", reading):
            begun = wait_told(box, "container.memory_at_limit", web)
            assert begun["limit"] == 128 * MIB
            assert begun["working_set_bytes"] >= 115 * MIB
            wait_until("the other has met its limit, too",
                       lambda: box.usage("acme/cached").get("memory_at_limit", 0) > 0, 60)
            box.sh("acme/web", "rm /dev/shm/fill")
            over = wait_told(box, "container.memory_relieved", web)
            assert over["count"] > 0
    assert not found(box, "container.memory_at_limit", cached)
    assert len(found(box, "container.memory_at_limit", web)) == 1


@pytest.mark.vm
def test_forks_that_the_tenants_limit_refused(box):
    """Counted once, whoever counts them: the container, or where the kernel does that (cgroup v2
    from Linux 6.11 on) the tenant alone."""
    box.tenant(pids=40)
    box.launch("acme/web")
    box.put_probe("acme/web")
    with box.forks("acme/web"):
        wait_until("a refused fork is told", lambda: found(
            box, "container.pids_denied", "tenants/acme/containers/web") + found(
                box, "tenant.pids_denied", "tenants/acme"), 60)
    of_container = box.usage("acme/web").get("pids_denied", 0)
    of_tenant = box.usage("acme").get("pids_denied", 0)
    apart = found(box, "tenant.pids_denied", "tenants/acme")
    assert of_tenant == 1
    if apart:
        assert of_container == 0 and apart == [{"count": 1, "total": 1, "limit": 40}]
    else:
        assert of_container == 1
