"""Rules about abuse: who does it is told, slowed down, stopped or suspended, and nobody else."""

import contextlib
import json
import os
import signal

import pytest

import abused
from abused import cases, lasting, rule, told, use, wait_case, wait_over
from abused import fresh  # noqa: F401
from croft_harness import wait_until
from fixtures import Kept, keep

WEB, CALM = "tenants/acme/containers/web", "tenants/calm/containers/web"
BURN = ("/bin/sh", "-c", "while :; do :; done")


class KeptWithRules(abused.WithRules, Kept):
    pass


@pytest.fixture(scope="module")
def kept(schema):
    yield from keep(KeptWithRules(schema))


@contextlib.contextmanager
def control(box):
    """A tenant with an ordinary load, that no rule is ever met by."""
    box.tenant("calm", cpu=0.5, memory="128M", pids=64)
    box.launch("calm/web", memory="64M", pids=32)
    with box.background_exec("calm/web", "/bin/sh", "-c",
                             "while :; do ls -lR /etc >/dev/null; sleep 1; done"):
        yield
        assert not cases(box, "calm")
        assert box.info("calm/web")["state"] == "RUNNING"


def quota(box, name="acme/web"):
    """Thousandths of a CPU, by the kernel."""
    return box.cgroup(name).cpu_milli()


@pytest.mark.vm
def test_steady_cpu_is_slowed_down_and_let_go(box):
    """The story: measured, slowed, known to the next daemons, over by itself. What is slowed down
    uses less, so it would be over while the test still looks, were it not for the long quiet."""
    use(box, rule("hog", "cpu-full", 60, "throttle", cpu="25%", until=40, quiet="1h"))
    box.tenant(cpu=0.4)
    box.launch("acme/web", cpu=0.2)
    with control(box):
        with box.background_exec("acme/web", *BURN):
            case = wait_case(box, "hog", WEB, 120)
            assert case["value"] >= 60 and case["threshold"] == 60
            wait_until("the kernel holds it", lambda: quota(box) == 50)
            # What was bought stays what it was, and is what is shown.
            assert box.info("acme/web")["limits"]["cpu_milli"] == 200
            for which in ("croftd", "supervisor"):
                box.kill9(which)
                box.restart(which)
                assert quota(box) == 50
            # A restart is no way out, nor is asking for another limit.
            box.ok("set", "acme/web", "--cpu", "0.4")
            assert quota(box) == 100
            box.ok("set", "acme/web", "--cpu", "0.2")
            assert quota(box) == 50
        box.ok("restart", "--timeout", "0", "acme/web")
        assert quota(box) == 50
        use(box, rule("hog", "cpu-full", 60, "throttle", cpu="25%", until=40))
        over = wait_over(box, case["number"])
        assert over["end_reason"] == "over"
        wait_until("it has what it bought", lambda: quota(box) == 200, 30)
    detected, = told(box, "abuse.detected", WEB)
    assert detected["rule"] == "hog" and detected["value"] >= 60
    ended, = told(box, "abuse.ended", WEB)
    assert ended["reason"] == "over"


def test_who_forks_all_the_time_is_slowed_down(box):
    """Forks that succeed, of its processes and those below them; a neighbour's are its own."""
    use(box, rule("forker", "forks", 15, "throttle", cpu="25%", quiet="1h"))
    box.tenant(cpu=0.4)
    box.launch("acme/web", cpu=0.2)
    with control(box):
        with box.background_exec("acme/web", "/bin/sh", "-c",
                                 "while :; do (:) & (:) & (:) & wait; done"):
            case = wait_case(box, "forker", WEB, 120)
            assert case["value"] >= 15
            wait_until("the kernel holds it", lambda: quota(box) == 50)
            live = {u["name"]: u for u in box.json_lines("top")}
            assert live[WEB]["forks_per_second"] > live[CALM].get("forks_per_second", 0), live
            # A supervisor that is new counts on.
            box.kill9("supervisor")
            box.restart("supervisor")
            wait_until("they are counted again", lambda: any(
                u["name"] == WEB and u.get("forks_per_second") for u in box.json_lines("top")), 60)


def test_a_fork_bomb_is_stopped(box):
    use(box, rule("bomb", "forks-denied", 50, "stop"))
    box.tenant()
    box.launch("acme/web", pids=20, options=("--restart", "always"))
    box.put_probe("acme/web")
    with control(box):
        box.exec("acme/web", "/probe", "storm", "30", "57", timeout=120)
        box.wait_state("acme/web", "STOPPED", 60)
        number = [c for c in cases(box, "acme") if c["rule"] == "bomb"][-1]["number"]
        over = wait_over(box, number)
        assert over["outcome"] == "1 container told to stop"
    # It is no hold: its tenant may start it again.
    box.ok("start", "acme/web")


@pytest.mark.vm
def test_thrashing_is_found(box):
    """What is read again and again does not fit into memory, and is read from the disk each time.
    Who reads as much that fits, and who has nothing to do with it, are not met."""
    use(box, rule("thrashing", "memory-stall", 5, "notify", quiet="1h"))
    box.tenant(memory="512M")
    for name, size in (("acme/web", 64), ("acme/fits", 8)):
        box.launch(name, memory="128M")
        # Written while there is room: what is not on disk yet can't be let go, and is killed for.
        box.sh(name, f"dd if=/dev/zero of=/big bs=1M count={size} && sync", timeout=120)
        box.ok("set", name, "--memory", "24M")
    reading = ("/bin/sh", "-c", "while :; do cat /big >/dev/null; done")
    with control(box):
        with (box.background_exec("acme/web", *reading),
              box.background_exec("acme/fits", *reading)):
            case = wait_case(box, "thrashing", WEB, 120)
            assert case["value"] >= 5 and case["signal"] == "memory-stall"
        evidence = box.json("abuse", "evidence", str(case["number"]))
        # Its reader may be the next one at that moment.
        assert {p["container"] for p in evidence["processes"]} == {"web"}, evidence["processes"]
        figures, = evidence["figures"]
        assert figures["resource"] == WEB
        assert figures["memory_bytes"] > 16 << 20 and figures["memory_stalled_usec"] > 0, figures
        assert [c["resource"] for c in cases(box)] == [WEB]


def test_an_oom_loop_suspends_its_tenant(box):
    """A hold of type abuse, which lasts until somebody lifts it."""
    use(box, rule("oom", "oom-kills", 3, "hold", grace="never"))
    box.tenant()
    box.launch("acme/web", memory="16M")
    box.put_probe("acme/web")
    with control(box):
        # No more: it would stand still with the container.
        for _ in range(3):
            box.exec("acme/web", "/probe", "eat", str(64 << 20), "0")
        case = wait_case(box, "oom", WEB)
        assert [h["type"] for h in box.json("tenant", "show", "acme")["holds"]] == ["ABUSE"]
        box.wait_state("acme/web", "FROZEN")
        box.refused("exec", "acme/web", "--", "/bin/true", match="suspended", rc=125)
        box.kill9("croftd")
        box.restart("croftd")
        box.ok("abuse", "lift", str(case["number"]))
        over = box.json("abuse", "show", str(case["number"]))
        assert over["end_reason"] == "lifted"
        box.wait_state("acme/web", "RUNNING")
        assert not box.json("tenant", "show", "acme").get("holds")
        # It is not done again for what lies before.
        box.ok("usage", "export")
        assert len(cases(box, "acme")) == 1


def test_a_long_window_outlives_croftd(box):
    """What happened before its end counts: a rule of hours would never be met otherwise."""
    use(box, rule("oom", "oom-kills", 4, "notify", window="2h"),
        rule("other", "oom-kills", 4, "notify", window="50m"))
    box.tenant()
    box.launch("acme/web", memory="16M")
    box.put_probe("acme/web")

    def eat_until(kills):
        for _ in range(2):
            box.exec("acme/web", "/probe", "eat", str(64 << 20), "0")
        wait_until("they are counted",
                   lambda: box.usage("acme/web").get("oom_kills", 0) >= kills, 60)
        box.ok("usage", "export")

    eat_until(2)
    box.terminate("croftd")
    box.restart("croftd")
    assert not cases(box, "acme")
    eat_until(4)
    case = wait_case(box, "oom", WEB)
    assert case["value"] == 4
    # Short ones begin anew; those of a rule that has become another, too.
    assert [c["rule"] for c in cases(box, "acme")] == ["oom"]
    abused.write(box, rule("oom", "oom-kills", 4, "notify", window="3h"))
    box.terminate("croftd")
    box.restart("croftd")
    assert wait_over(box, case["number"])["end_reason"] == "over"


def test_a_hold_that_is_resumed_ends_its_case(box):
    use(box, rule("oom", "oom-kills", 1, "freeze"))
    box.tenant()
    box.launch("acme/web", memory="16M")
    box.put_probe("acme/web")
    box.exec("acme/web", "/probe", "eat", str(64 << 20), "0")
    case = wait_case(box, "oom", WEB)
    hold, = box.json("tenant", "show", "acme")["holds"]
    assert hold["type"] == "ABUSE" and "oom" in hold["reason"]
    box.ok("tenant", "resume", "acme", "--type", "abuse")
    assert wait_over(box, case["number"])["end_reason"] == "hold_lifted"


def test_a_case_that_found_a_hold_outlasts_it(box):
    """The hold is another's, so its end is none of the case, for the next croftd either."""
    use(box, rule("first", "oom-kills", 1, "freeze", quiet="1h"),
        rule("second", "oom-kills", 1, "freeze", quiet="1h"))
    box.tenant()
    box.launch("acme/web", memory="16M")
    box.put_probe("acme/web")
    box.exec("acme/web", "/probe", "eat", str(64 << 20), "0")
    wait_until("both have acted", lambda: len([
        c for c in lasting(box, "acme") if "hold" in c.get("outcome", "")]) == 2, 60)
    holder, = [c for c in lasting(box, "acme") if "already" not in c["outcome"]]
    box.terminate("croftd")
    box.restart("croftd")
    box.ok("tenant", "resume", "acme", "--type", "abuse")
    # Both were judged by the sweep that saw it lifted.
    assert wait_over(box, holder["number"])["end_reason"] == "hold_lifted"
    other, = lasting(box, "acme")
    box.ok("abuse", "lift", str(other["number"]))


def test_files_of_who_is_suspended_for_abuse_are_kept(box):
    """Nor by an operator, who does not mean it. Under another hold nobody asks."""
    box.tenant()
    box.launch("acme/web")
    box.ok("snapshot", "create", "acme/web", "first")
    image = box.info("acme/web")["image"].removeprefix("images/")
    box.ok("stop", "--timeout", "0", "acme/web")
    box.ok("create", image, "acme/other")
    box.ok("tenant", "suspend", "acme", "--type", "abuse")
    for words in (("snapshot", "restore", "acme/web", "first"), ("rebuild", "acme/web", image),
                  ("delete", "acme/other")):
        box.refused(*words, match="may be evidence")
        box.ok(*words, "--force")
    box.ok("tenant", "suspend", "acme", "--type", "billing")
    box.ok("tenant", "resume", "acme", "--type", "abuse")
    box.ok("rebuild", "acme/web", image)
    box.ok("snapshot", "delete", "acme/web", "first")
    box.ok("delete", "acme/web")


def test_a_dry_run_only_tells(box):
    use(box, rule("bomb", "forks-denied", 50, "stop", dry_run="on"),
        rule("held", "forks-denied", 50, "hold", dry_run="on"))
    box.tenant()
    box.launch("acme/web", pids=20)
    box.put_probe("acme/web")
    box.exec("acme/web", "/probe", "storm", "3", "57", timeout=60)
    for name in ("bomb", "held"):
        case = wait_case(box, name, WEB)
        assert case["dry_run"]
    assert box.info("acme/web")["state"] == "RUNNING"
    assert not box.json("tenant", "show", "acme").get("holds")
    for case in lasting(box, "acme"):
        wait_over(box, case["number"])
    # The same for all rules at once.
    use(box, "[all]\ndry-run = on\n", rule("bomb", "forks-denied", 50, "stop"))
    box.exec("acme/web", "/probe", "storm", "3", "57", timeout=60)
    wait_until("it is told", lambda: len([c for c in cases(box, "acme") if c["rule"] == "bomb"
                                          and c.get("outcome")]) == 2, 60)
    assert box.info("acme/web")["state"] == "RUNNING"


def test_who_is_exempt_is_left_alone(box):
    """By its own name, its tenant's and its plan's; its neighbour is not."""
    box.ok("plan", "create", "trusted", "--pids", "100")
    box.ok("tenant", "create", "planned", "--plan", "trusted")
    for tenant in ("acme", "friend"):
        box.tenant(tenant)
    use(box, "[all]\nexempt = plan:trusted\n",
        rule("bomb", "forks-denied", 50, "stop",
             exempt="container:acme/spared, tenant:friend"))
    names = ("planned/web", "friend/web", "acme/spared", "acme/web")
    for name in names:
        box.launch(name, pids=20)
        box.put_probe(name)
    for name in names:
        box.exec(name, "/probe", "storm", "2", "57", timeout=60)
    box.wait_state("acme/web", "STOPPED", 60)
    for name in names[:3]:
        assert box.info(name)["state"] == "RUNNING"
    assert [c["resource"] for c in cases(box)] == [WEB]
    # Who becomes so while a case lasts is let go.
    use(box, rule("bomb", "forks-denied", 50, "stop", exempt="tenant:acme", quiet="1h"))
    assert wait_over(box, cases(box)[0]["number"])["end_reason"] == "exempt"

def test_lifting_a_throttle(box):
    """At once, and it does not come back while what it was about goes on."""
    use(box, rule("hog", "cpu-full", 60, "throttle", cpu="25%", until=40, quiet="1h"))
    box.tenant(cpu=0.4)
    box.launch("acme/web", cpu=0.2)
    with box.background_exec("acme/web", *BURN):
        case = wait_case(box, "hog", WEB, 120)
        wait_until("the kernel holds it", lambda: quota(box) == 50)
        # Twice with one request id: once.
        with box.api() as client:
            request = {"number": case["number"],
                       "requestId": "6a2b1d3e-0000-4000-8000-000000000001"}
            first = client.call("Abuse/LiftAbuseCase", request)
            assert client.call("Abuse/LiftAbuseCase", request) == first
        wait_until("it has what it bought", lambda: quota(box) == 200)
        before = len(cases(box))
        for _ in range(3):
            box.ok("usage", "export")
        assert len(cases(box)) == before == 1
    # What is over stays as it is, and what never was is not there.
    over = box.json("abuse", "show", str(case["number"]))
    box.ok("abuse", "lift", str(case["number"]))
    assert box.json("abuse", "show", str(case["number"])) == over
    box.refused("abuse", "lift", "999", match="no case of abuse 999")
    box.refused("abuse", "show", "0", match="no case of abuse 0")


def test_killed_anywhere_no_throttle_is_left(box):
    """Either daemon dies while one begins, lasts and ends; what the kernel has is as the record
    says, and in the end nothing is held."""
    use(box, rule("hog", "cpu-full", 60, "throttle", cpu="25%", until=40, quiet="1h"))
    box.tenant(cpu=0.4)
    box.launch("acme/web", cpu=0.2)
    with box.background_exec("acme/web", *BURN):
        for which in ("croftd", "supervisor") * 2:
            wait_case(box, "hog", WEB, 120)
            box.kill9(which)
            box.restart(which)
            wait_until("it is slowed down", lambda: quota(box) == 50, 30)
    # The rule goes, and croftd at the same moment.
    abused.write(box)
    os.kill(box.pids["croftd"], signal.SIGHUP)
    box.kill9("croftd")
    box.restart("croftd")
    wait_until("no case lasts", lambda: not lasting(box), 30)
    wait_until("it has what it bought", lambda: quota(box) == 200, 30)
    assert cases(box)[-1]["end_reason"] == "rule_removed"


def test_rules_are_taken_whole_or_not_at_all(box):
    use(box, rule("one", "oom-kills", 5, "notify"))
    names = [r["name"] for r in box.json_lines("abuse", "rules")]
    assert names == ["one"]
    abused.write(box, rule("two", "oom-kills", 5, "notify"), "[rule three]\nsignal = nonsense\n")
    checked = box.croft("abuse", "check", abused.rules_path(box))
    assert checked.rc == 1
    assert f"{abused.rules_path(box)}:9: there is no signal" in checked.err
    box.refused("abuse", "reload", match=r'abuse-rules:9: there is no signal "nonsense"')
    os.kill(box.pids["croftd"], signal.SIGHUP)
    wait_until("it is told", lambda: len(told(box, "abuse.rules_refused", "host")) == 2)
    assert [r["name"] for r in box.json_lines("abuse", "rules")] == names
    # Nor does the next croftd stay down: rules that only tell are in force, and it says so.
    box.kill9("croftd")
    box.restart("croftd")
    assert "steady-cpu" in [r["name"] for r in box.json_lines("abuse", "rules")]
    assert "nonsense" in box.croft("abuse", "rules").err
    abused.write(box, rule("two", "oom-kills", 5, "notify"))
    box.ok("abuse", "check", abused.rules_path(box))
    os.kill(box.pids["croftd"], signal.SIGHUP)
    wait_until("it is loaded",
               lambda: [r["name"] for r in box.json_lines("abuse", "rules")] == ["two"])
    # What there is to begin with is what a croftd without a file does.
    with open(abused.rules_path(box), "w", encoding="utf-8") as f:
        f.write(box.ok("abuse", "defaults"))
    box.ok("abuse", "reload")
    assert len(box.json_lines("abuse", "rules")) == 14


def test_a_tenant_is_told_no_figures(box):
    use(box, rule("bomb", "forks-denied", 50, "notify"))
    box.tenant()
    box.ok("tenant", "bind", "acme", "4612")
    box.launch("acme/web", pids=20)
    box.put_probe("acme/web")
    box.exec("acme/web", "/probe", "storm", "2", "57", timeout=60)
    wait_case(box, "bomb", WEB)
    detected, = [e for e in box.json_lines("events", uid=4612) if e["type"] == "abuse.detected"]
    assert json.loads(detected["details_json"]) == {
        "rule": "bomb", "action": "notify", "dry_run": False}
    assert told(box, "abuse.detected", WEB)[0]["value"] >= 50
    for words in (("list",), ("show", "1"), ("lift", "1"), ("rules",), ("reload",)):
        box.refused("abuse", *words, match="operator", uid=4612)


def test_evidence_is_kept_from_before_the_action(box):
    """Processes, counters and last lines of who is stopped for it."""
    use(box, rule("bomb", "forks-denied", 50, "stop"))
    box.tenant()
    box.launch("acme/web", pids=20)
    box.put_probe("acme/web")
    box.sh("acme/web", "cp /bin/sleep /tmp/culprit; echo its last words >/dev/console")
    with box.background_exec("acme/web", "/tmp/culprit", "1000"):
        box.exec("acme/web", "/probe", "storm", "30", "57", timeout=120)
    box.wait_state("acme/web", "STOPPED", 60)
    number = str(cases(box)[-1]["number"])
    evidence = box.json("abuse", "evidence", number)
    found = {p["command"]: p for p in evidence["processes"]}
    assert "probe" in found and found["probe"]["container"] == "web", found
    assert found["probe"]["rss_bytes"] > 0 and found["probe"]["state"]
    figures, = evidence["figures"]
    assert figures["resource"] == WEB and figures["pids_denied"] >= 50
    assert any("its last words" in line for line in evidence["log_lines"]), evidence
    text = box.ok("abuse", "evidence", number)
    assert "| its last words" in text and " probe\n" in text
    box.refused("abuse", "evidence", "999", match="no evidence of case 999")
