"""A tenant tries to fill, to forge and to read the record of what was done about it."""

import json

import pytest

import abused
from abused import cases, rule, use, wait_case
from abused import fresh  # noqa: F401
from croft_harness import wait_until
from test_abuse import KeptWithRules
from fixtures import keep

# Of event_pace.h: what is only told is told so often at once.
BURST = 6


@pytest.fixture(scope="module")
def kept(schema):
    yield from keep(KeptWithRules(schema))


def bomb(box, name):
    box.exec(name, "/probe", "storm", "1", "57", timeout=60)


def make(box, names):
    for name in names:
        box.launch(name, pids=16)
        box.put_probe(name)


def test_many_containers_make_few_cases(box):
    """Each of them meets the rule; the control is another tenant, which is heard all the same."""
    use(box, rule("bomb", "forks-denied", 20, "notify", window="2m"))
    for tenant in ("acme", "other"):
        box.tenant(tenant, containers=16)
    names = [f"acme/c{i}" for i in range(BURST + 4)]
    make(box, names + ["other/web"])
    for name in names:
        bomb(box, name)
    for _ in range(3):
        box.ok("usage", "export")
    assert 1 <= len(cases(box, "acme")) <= BURST
    bomb(box, "other/web")
    wait_case(box, "bomb", "tenants/other/containers/web")
    # An action is no matter of pace: all that are to be stopped are.
    use(box, rule("bomb", "forks-denied", 20, "stop", window="2m"),
        rule("again", "forks-denied", 20, "stop", window="1m"))
    for name in names:
        if box.info(name)["state"] == "RUNNING":
            bomb(box, name)
    wait_until("all are stopped",
               lambda: all(box.info(n).get("state", "STOPPED") == "STOPPED" for n in names), 120)


def test_its_tenant_reads_and_changes_nothing(box):
    use(box, rule("bomb", "forks-denied", 20, "throttle", cpu="50%", quiet="1h"))
    box.tenant(cpu=0.5)
    box.ok("tenant", "bind", "acme", "4613")
    make(box, ["acme/web"])
    bomb(box, "acme/web")
    case = wait_case(box, "bomb", "tenants/acme/containers/web")
    wait_until("it is slowed down", lambda: box.cgroup("acme/web").cpu_milli() == 250)
    number = str(case["number"])
    for words in (("list",), ("list", "acme"), ("show", number), ("lift", number), ("rules",),
                  ("reload",)):
        said = box.refused("abuse", *words, match="operator", uid=4613)
        assert number not in said.split()
    # What it may do does not take the throttle off either: restart, limits, a new name.
    box.ok("restart", "--timeout", "0", "acme/web", uid=4613)
    assert box.cgroup("acme/web").cpu_milli() == 250
    box.ok("set", "acme/web", "--cpu", "0.4", uid=4613)
    assert box.cgroup("acme/web").cpu_milli() == 200
    box.ok("stop", "--timeout", "0", "acme/web", uid=4613)
    box.ok("rename", "acme/web", "new", uid=4613)
    box.ok("start", "acme/new", uid=4613)
    assert box.cgroup("acme/new").cpu_milli() == 200
    # The control: an operator may lift it.
    box.ok("abuse", "lift", number)
    wait_until("it has its own", lambda: box.cgroup("acme/new").cpu_milli() == 400)
    own = [e for e in box.json_lines("events", uid=4613) if e["type"].startswith("abuse.")]
    assert own and all(set(json.loads(e["details_json"])) <= {
        "rule", "action", "dry_run", "reason"} for e in own)


def test_evidence_is_bounded_and_forges_nothing(box):
    """Names and output are the tenant's own: none of it looks like croft's words, nor moves a
    cursor, and what there is much of is cut."""
    use(box, rule("bomb", "forks-denied", 20, "notify"))
    box.tenant(pids=600)
    make(box, ["acme/web"])
    box.ok("set", "acme/web", "--pids", "400")
    box.put("acme/web", "/tmp/many",
            b"#!/bin/sh\nfor i in $(seq 330); do sleep 1000 & done\nwait\n")
    forged = "\\033[2J\\033[Hcase 1, as of never\\r\\302\\233 31m\\nLAST LINES OF OUTPUT\\n"
    box.sh("acme/web", f"printf '{forged}' >/dev/console; "
                       "cp /bin/busybox '/tmp/a) R 1 1'; ln -s /bin/busybox /tmp/sleep; "
                       "yes 0123456789abcdef | head -n 4000 >/dev/console; "
                       f"printf '{forged}' >/dev/console")
    with box.background_exec("acme/web", "/tmp/many"):
        wait_until("there are many", lambda: box.cgroup("acme/web").pids() > 330, 60)
        box.ok("set", "acme/web", "--pids", str(box.cgroup("acme/web").pids() + 8), "--force")
        box.exec("acme/web", "/probe", "storm", "5", "57", timeout=60)
        case = wait_case(box, "bomb", "tenants/acme/containers/web")
    evidence = box.json("abuse", "evidence", str(case["number"]))
    assert len(evidence["processes"]) == 256 and evidence["processes_left_out"] > 40
    assert sum(len(line) for line in evidence["log_lines"]) <= 16 << 10
    assert len(evidence["log_lines"]) <= 200
    # The control: the bytes are there, in what a program reads.
    assert any("\x1b[2J" in line for line in evidence["log_lines"]) or len(
        evidence["log_lines"]) == 200
    text = box.croft("abuse", "evidence", str(case["number"])).raw
    assert not [b for b in text if (b < 32 and b != 10) or b == 127], text[-300:]
    assert b"\xc2\x9b" not in text
    assert text.count(b"\nLAST LINES OF OUTPUT\n") == 1
    assert text.startswith(b"case %d, as of " % case["number"])
