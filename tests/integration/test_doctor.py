"""croft doctor: what it says of this host, with a daemon, without one, and as somebody else."""

import os

import kernel
from croft_harness import from_json, program, run_program

NOBODY = 65534


def findings(result):
    return {f["check"]: f for f in map(from_json, result.out.splitlines())}


def test_on_a_host_that_runs_containers(box):
    result = box.croft("-o", "json", "doctor", "--state", box.state)
    assert result.rc == 0, result
    found = findings(result)
    mode = "unified (v2)" if kernel.driver() == "unified" else "hybrid (v1)"
    assert found["cgroups"]["found"].startswith(mode)
    # What runs here must not be missed, and each fault comes with advice.
    for check in ("system calls", "user namespaces", "overlay", "disk quotas", "nftables",
                  "ctnetlink", "croftd", "supervisor", "pool"):
        assert found[check]["level"] == "OK", found[check]
    holds = kernel.driver() == "unified"
    assert found["I/O limits"]["level"] == ("OK" if holds else "WARN"), found["I/O limits"]
    for finding in found.values():
        assert str(finding["found"])
        assert bool(finding.get("advice")) == (finding["level"] != "OK"), finding
    with open("/proc/sys/kernel/pid_max", encoding="ascii") as f:
        assert found["kernel.pid_max"]["found"] == int(f.read())


def test_lxcfs_is_missed_where_it_is_not(box):
    there = os.access("/usr/bin/lxcfs", os.X_OK) and os.path.exists("/dev/fuse")
    found = findings(box.croft("-o", "json", "doctor"))["lxcfs"]
    assert found["level"] == ("OK" if there else "WARN"), found


def test_without_a_supervisor(box):
    box.kill9("supervisor")
    result = box.croft("-o", "json", "doctor")
    assert result.rc == 1, result
    assert findings(result)["supervisor"]["level"] == "FAIL"
    box.restart("supervisor")


def test_for_people_and_without_a_daemon(tmp_path):
    host = f"unix:{tmp_path}/none"
    result = run_program([program("croft"), "--host", host, "doctor"])
    assert result.rc == 0, result
    lines = result.out.splitlines()
    assert any(line.startswith("ok    cgroups: ") for line in lines), lines
    at = next(i for i, line in enumerate(lines) if line.startswith("warn  croftd: "))
    assert lines[at + 1].startswith("      ")
    assert os.listdir(tmp_path) == []
    assert run_program([program("croft"), "doctor", "--state", "relative"]).rc == 2


def test_as_somebody_else(box):
    result = box.croft("-o", "json", "doctor", uid=NOBODY)
    found = findings(result)
    assert result.rc == 0, result
    for check in ("nftables", "ctnetlink"):
        assert found[check]["level"] == "WARN" and "root" in found[check]["advice"]
    assert found["croftd"]["level"] == "WARN"
