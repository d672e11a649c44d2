"""The counting itself: it must never take a test that did not run for one that passed."""

import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import tally  # noqa: E402
from tally import Tally  # noqa: E402


def counts(t):
    return t.passed, t.failed, t.skipped


def test_tap():
    text = ("1..3\nok 1 - a\nnot ok 2 - b\n# file.c:3: error\nok 3 - c # SKIP needs root\n"
            "# not ok - tests\n")
    t = tally.count_tap("x", text)
    assert counts(t) == (1, 1, 1)
    assert t.failures == ["x: b"]
    assert t.skips == ["x: c: needs root"]


def test_tap_skip_without_a_reason_says_so():
    t = tally.count_tap("x", "1..1\nok 1 - a # SKIP\n")
    assert t.skips == ["x: a: no reason given"]


def test_tap_not_ok_has_failed_even_as_a_skip():
    """As meson reads it; cmocka's come as "ok"."""
    t = tally.count_tap("x", "1..1\nnot ok 1 # SKIP a\n")
    assert counts(t) == (0, 1, 0)
    assert t.failures == ["x: a"]


SKIPPING = """
#include "tests/unit/unit.h"
static void one(void **state) { (void)state; printf("a line "); printf("in pieces\\n"); }
static void two(void **state) { (void)state; skip_because("no moon"); }
static void three(void **state) { (void)state; skip(); }
static void four(void **state) { (void)state; fail(); }
int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(one), cmocka_unit_test(two),
		cmocka_unit_test(three), cmocka_unit_test(four)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
"""


def test_skips_of_cmocka_follow_the_protocol(tmp_path):
    """Its TAP says "not ok" of a skipped test; what our programs print does not."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    source, test = tmp_path / "t.c", tmp_path / "t"
    source.write_text(SKIPPING)
    subprocess.run(
        ["cc", "-D_GNU_SOURCE", "-I", root, "-o", test, source,
         os.path.join(root, "tests/unit/tap.c"), "-lcmocka"], check=True)
    done = subprocess.run([test], env={"CMOCKA_MESSAGE_OUTPUT": "TAP"}, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert done.returncode == 1
    assert "a line in pieces\n" in done.stdout
    t = tally.count_tap("x", done.stdout)
    assert counts(t) == (1, 1, 2)
    assert t.skips == ["x: two: no moon", "x: three: no reason given"]
    assert t.failures == ["x: four"]


def test_tap_cut_short_fails():
    assert counts(tally.count_tap("x", "1..3\nok 1 - a\n")) == (1, 1, 0)
    assert counts(tally.count_tap("x", "")) == (0, 1, 0)
    assert counts(tally.count_tap("x", "Segmentation fault\n")) == (0, 1, 0)


def test_tap_skip_all_has_its_reason():
    t = tally.count_tap("x", "1..0 # SKIP needs root\n")
    assert counts(t) == (0, 0, 1)
    assert "needs root" in t.skips[0]


def test_other_output_is_not_counted():
    t = tally.count_tap("x", "1..1\nok then, this is a log line\nokay\nok 1 - a\n")
    assert counts(t) == (1, 0, 0)


def test_junit(tmp_path):
    report = tmp_path / "r.xml"
    report.write_text(
        '<testsuites><testsuite><testcase classname="a.b" name="c"/>'
        '<testcase classname="a.b" name="d"><failure message="m">t</failure></testcase>'
        '<testcase classname="a.b" name="e"><error message="m">t</error></testcase>'
        '<testcase classname="a.b" name="f"><skipped message="no buf"/></testcase>'
        "</testsuite></testsuites>"
    )
    t = tally.count_junit(str(report), "x")
    assert counts(t) == (1, 2, 1)
    assert t.skips == ["a/b::f: no buf"]


def test_no_report_fails(tmp_path):
    assert counts(tally.count_junit(str(tmp_path / "absent"), "x")) == (0, 1, 0)


def one(command, protocol="tap", timeout=10):
    test = {"name": "x", "cmd": command, "env": {}, "workdir": None, "timeout": timeout,
            "protocol": protocol, "is_parallel": True}
    return tally.run_test(test, show=False)


def test_a_program_that_dies_after_its_last_case_fails():
    t = one(["sh", "-c", "echo 1..1; echo 'ok 1 - a'; exit 3"])
    assert counts(t) == (1, 1, 0)


def test_a_hanging_program_fails():
    start = time.monotonic()
    t = one(["sh", "-c", "echo 1..1; echo 'ok 1 - a'; sleep 100"], timeout=1)
    assert t.failed == 1
    assert time.monotonic() - start < 30


def test_exit_codes():
    assert counts(one(["true"], "exitcode")) == (1, 0, 0)
    assert counts(one(["false"], "exitcode")) == (0, 1, 0)
    assert counts(one(["sh", "-c", "echo why; exit 77"], "exitcode")) == (0, 0, 1)


def test_no_tests_is_a_failure():
    assert tally.run_tests([], 1).failed == 1


def test_json_keeps_everything():
    t = Tally(1, 2, 3, ["a"], ["b"])
    assert Tally.from_json(t.to_json()) == t
    assert str(t) == "1 passed, 2 failed, 3 skipped"


def test_what_runs_beside_is_stopped_and_its_output_kept():
    started = tally.Started(
        ["sh", "-c",
         "trap 'echo taken down; exit 3' TERM; echo begun; while :; do sleep 0.1; done"],
        capture=True)
    assert started.wait(2) is None
    started.stop()
    output = started.output()
    assert output.startswith("begun\n") and output.endswith("taken down\n"), output
