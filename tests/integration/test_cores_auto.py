"""`--cores auto`: a container runs on as many CPUs as its quota can keep busy, of Croft's choice,
so that nproc, sched_getaffinity(2) and /proc/cpuinfo count them; with every change of what it may
use, and through the death of either process."""

import os

import pytest

from croft_harness import wait_until

LXCFS = "/usr/bin/lxcfs"
HOST = sorted(os.sched_getaffinity(0))

pytestmark = pytest.mark.skipif(len(HOST) < 2, reason="one CPU leaves no choice")


def nproc(daemon, name):
    return int(daemon.sh(name, "nproc"))


def cpus(daemon, name):
    """The CPUs on which it may run, as the kernel has them for a process inside."""
    return parse(daemon.sh(name, "grep Cpus_allowed_list /proc/self/status").split()[1])


def parse(text):
    """The CPUs of a kernel list such as 0,2-3."""
    found = set()
    for span in text.split(","):
        first, *last = map(int, span.split("-"))
        found |= set(range(first, (last or [first])[0] + 1))
    return found


def kernel_cpus(daemon, name):
    """The same as its cgroup has them, without asking croftd."""
    return parse(daemon.cgroup(name).cpus())


def pin(cgroup, old, new):
    """Moves all that is in a container, as the supervisor does it: on v1 a directory's list holds
    its children's at every moment."""
    outer = cgroup.directory("cpuset")
    inner = [] if cgroup.unified else [("payload", new)]
    for directory, text in ((".", f"{min(old, new)},{max(old, new)}"), *inner, (".", new)):
        with open(f"{outer}/{directory}/cpuset.cpus", "w", encoding="ascii") as f:
            f.write(str(text))


def shown(daemon, name):
    """What croft says of its cores: what was asked for, and those that it has."""
    info = daemon.info(name)
    return info.get("limits", {}).get("core_auto", False), str(info.get("cores", ""))


@pytest.mark.vm
def test_counts_what_the_quota_can_use(box):
    box.tenant(cpu="2")
    box.launch("acme/a", cpu="1", cores="auto")
    assert nproc(box, "acme/a") == 1
    (only,) = cpus(box, "acme/a")
    assert shown(box, "acme/a") == (True, str(only))
    # The next goes where nothing is promised yet.
    box.launch("acme/b", cpu="0.5", cores="auto")
    assert cpus(box, "acme/b").isdisjoint({only}) and nproc(box, "acme/b") == 1
    # Live, as everything that `set` changes.
    box.ok("set", "acme/a", "--cpu", "1.5")
    assert nproc(box, "acme/a") == 2
    box.ok("set", "acme/a", "--cpu", "1")
    assert nproc(box, "acme/a") == 1
    # Whatever else is changed moves it nowhere.
    before = cpus(box, "acme/a")
    box.ok("set", "acme/a", "--pids", "50")
    assert cpus(box, "acme/a") == before
    box.ok("set", "acme/a", "--cores", "none")
    assert nproc(box, "acme/a") == len(HOST) and shown(box, "acme/a") == (False, "")
    # What was lifted while it ran follows its tenant again.
    box.ok("tenant", "set", "acme", "--cores", f"{only}-{only}")
    assert cpus(box, "acme/a") == cpus(box, "acme/b") == {only}
    box.ok("tenant", "set", "acme", "--cores", "none")
    assert nproc(box, "acme/a") == len(HOST)
    wait_until("the other is where it was", lambda: nproc(box, "acme/b") == 1, 30)


def test_without_a_quota_of_its_own_it_goes_by_its_tenants(box):
    box.tenant(cpu="1")
    box.launch("acme/web", cores="auto")
    assert nproc(box, "acme/web") == 1
    box.ok("tenant", "set", "acme", "--cpu", "2")
    wait_until("it has two", lambda: nproc(box, "acme/web") == 2, 30)
    box.ok("tenant", "set", "acme", "--cpu", "0.75")
    wait_until("it has one", lambda: nproc(box, "acme/web") == 1, 30)


def test_refusals(box):
    box.tenant(cpu="1")
    box.ok("tenant", "set", "acme", "--cpu", "none")
    box.refused("launch", "busybox", "acme/web", "--cores", "auto", match="counts by the CPU limit")
    box.launch("acme/web")
    box.refused("set", "acme/web", "--cores", "auto", match="neither the container nor its tenant")
    assert shown(box, "acme/web") == (False, "")
    box.ok("set", "acme/web", "--cpu", "0.5", "--cores", "auto")
    box.refused("set", "acme/web", "--cpu", "none", match="neither the container nor its tenant")
    assert nproc(box, "acme/web") == 1
    box.refused("tenant", "set", "acme", "--cores", "auto", match="the tenant has none")
    box.ok("tenant", "set", "acme", "--cpu", "1")
    box.ok("set", "acme/web", "--cpu", "none")
    box.refused("tenant", "set", "acme", "--cpu", "none", match="acme/web stands in the way")


class TestTenantsAndPlans:
    """Of a tenant it means the same: its containers see what it may use."""

    def test_of_a_tenant(self, box):
        box.ok("tenant", "create", "acme", "--cpu", "0.5", "--cores", "auto")
        box.launch("acme/web")
        assert nproc(box, "acme/web") == 1
        (only,) = cpus(box, "acme/web")
        tenant = box.json("tenant", "show", "acme")
        assert tenant["limits"]["core_auto"] is True and str(tenant["cores"]) == str(only)
        box.ok("tenant", "set", "acme", "--cpu", "2")
        assert nproc(box, "acme/web") == 2
        # One that chooses for itself chooses among its tenant's.
        box.launch("acme/one", cpu="1", cores="auto")
        box.launch("acme/two", cpu="1", cores="auto")
        assert cpus(box, "acme/one").isdisjoint(cpus(box, "acme/two"))
        # And is moved when they become fewer, instead of standing in the way.
        box.ok("tenant", "set", "acme", "--cores", f"{only}-{only}")
        for name in ("acme/web", "acme/one", "acme/two"):
            assert cpus(box, name) == {only}
        box.ok("tenant", "set", "acme", "--cores", "none", "--cpu", "4")
        wait_until("one of them has moved back",
                   lambda: cpus(box, "acme/one").isdisjoint(cpus(box, "acme/two")), 30)

    def test_nothing_is_left_to_move_to(self, box):
        first, last = HOST[0], HOST[-1]
        box.ok("tenant", "create", "acme", "--cpu", "1", "--cores", f"{first}-{first}")
        box.launch("acme/web", cores="auto")
        box.refused("tenant", "set", "acme", "--cores", f"{last}-{last}", match="would lose")
        assert cpus(box, "acme/web") == {first}

    def test_of_a_plan(self, box):
        box.ok("plan", "create", "small", "--cpu", "1", "--memory", "128M", "--cores", "auto")
        assert box.json("plan", "show", "small")["limits"]["core_auto"] is True
        box.ok("tenant", "create", "acme", "--plan", "small")
        box.launch("acme/web")
        assert nproc(box, "acme/web") == 1
        box.ok("plan", "set", "small", "--cpu", "2")
        wait_until("the plan has reached it", lambda: nproc(box, "acme/web") == 2, 30)
        box.refused("plan", "set", "small", "--cpu", "none", match="counts by the CPU limit")


def test_moves_when_that_evens_out_the_load(box):
    """Two that are pinned to a CPU come to where one is that is not: it leaves."""
    box.tenant(cpu="2", pids=200)
    box.launch("acme/free", cpu="1", cores="auto")
    (place,) = cpus(box, "acme/free")
    for i in range(2):
        box.launch(f"acme/full{i}", cpu="0.75", cores=f"{place}-{place}")
    wait_until("it has moved", lambda: place not in cpus(box, "acme/free"), 30)
    (new,) = cpus(box, "acme/free")
    assert shown(box, "acme/free") == (True, str(new))


class TestDeath:
    """Places are on record, and what has them runs on."""

    def places(self, daemon):
        return {name: cpus(daemon, name) for name in ("acme/a", "acme/b")}

    @pytest.fixture
    def placed(self, box):
        box.tenant(cpu="2")
        box.launch("acme/a", cpu="1", cores="auto")
        box.launch("acme/b", cpu="1", cores="auto")
        return box

    @pytest.mark.parametrize("killed", [("croftd",), ("supervisor",), ("croftd", "supervisor")],
                             ids="+".join)
    def test_places_are_kept(self, placed, killed):
        before = self.places(placed)
        for which in killed:
            placed.kill9(which)
        assert {name: kernel_cpus(placed, name) for name in before} == before
        placed.restart(*killed)
        assert self.places(placed) == before
        placed.ok("set", "acme/a", "--cpu", "2")
        assert nproc(placed, "acme/a") == 2
        placed.ok("restart", "--timeout", "0", "acme/b")
        assert nproc(placed, "acme/b") == 1

    def test_a_move_that_was_cut_off_is_made_good(self, placed):
        """The record says where it is: what a croftd that died had moved by then goes back."""
        before = self.places(placed)
        placed.kill9("croftd")
        (place,) = before["acme/a"]
        other = next(cpu for cpu in HOST if cpu != place)
        pin(placed.cgroup("acme/a"), place, other)
        assert kernel_cpus(placed, "acme/a") == {other}
        placed.restart("croftd")
        wait_until("it is where it was", lambda: cpus(placed, "acme/a") == {place}, 60)


@pytest.mark.skipif(not os.access(LXCFS, os.X_OK), reason="lxcfs is not installed")
def test_a_distribution_counts_them(bare_daemon, debian_image):
    """nproc, getconf and Python of a Debian 12 agree with each other and with /proc/cpuinfo."""
    bare_daemon.start("--lxcfs", LXCFS)
    bare_daemon.ok("tenant", "create", "acme", "--cpu", "2", "--memory", "1G", "--pids", "500")
    bare_daemon.ok("image", "import", "debian", debian_image, timeout=180)
    bare_daemon.launch(
        "acme/deb", image="debian", cpu="1", cores="auto", init=("/bin/sleep", "inf"))
    count = ("nproc; getconf _NPROCESSORS_ONLN; grep -c ^processor /proc/cpuinfo;"
             "taskset -pc 1 | grep -c -- '[-,]' || true")
    assert bare_daemon.sh("acme/deb", count).split() == ["1", "1", "1", "0"]
    bare_daemon.ok("set", "acme/deb", "--cpu", "2")
    assert bare_daemon.sh("acme/deb", count).split() == ["2", "2", "2", "1"]
