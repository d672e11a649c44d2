"""Running tests and counting their cases: TAP from the C programs, JUnit XML from pytest.

Used by tests/run on the host and by tests/vm/inside in the machine. A case passed, failed or was
skipped with a reason; a program that dies, hangs or runs fewer cases than it announced has failed.
"""

import concurrent.futures
import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

TAP_LINE = re.compile(r"^(not )?ok\b(?: (\d+))?(?: - ([^#]*?))?\s*(?:#\s*(SKIP)\b\s*(.*))?$")
TERM_GRACE_SECONDS = 60


@dataclasses.dataclass
class Tally:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list = dataclasses.field(default_factory=list)
    skips: list = dataclasses.field(default_factory=list)

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.failures += other.failures
        self.skips += other.skips

    def ok(self, n=1):
        self.passed += n

    def fail(self, what):
        self.failed += 1
        self.failures.append(what)

    def skip(self, what, reason):
        self.skipped += 1
        self.skips.append(f"{what}: {reason or 'no reason given'}")

    def to_json(self):
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text):
        return cls(**json.loads(text))

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def count_tap(name, text):
    """Counts TAP by its protocol, as meson does: a skip is "ok 3 - what # SKIP reason", and "not
    ok" has failed whatever follows. (cmocka's own skips are mended by tests/unit/tap.c.)"""
    tally = Tally()
    planned = None
    for line in text.splitlines():
        plan = re.match(r"^1\.\.(\d+)", line)
        if plan:
            planned = int(plan.group(1))
            if "SKIP" in line.upper():
                tally.skip(name, line.partition("#")[2].strip())
            continue
        m = TAP_LINE.match(line)
        if not m:
            continue
        bad, _, what, skip, reason = m.groups()
        what = (what or "?").strip()
        if bad:
            tally.fail(f"{name}: {what if not skip else reason or what}")
        elif skip:
            tally.skip(f"{name}: {what}", reason)
        else:
            tally.ok()
    counted = tally.passed + tally.failed + tally.skipped
    if planned is None:
        tally.fail(f"{name}: announced no tests")
    elif counted < planned:
        tally.fail(f"{name}: ended after {counted} of {planned} tests")
    return tally


def count_junit(path, what):
    """Counts pytest's report; a missing or cut one is a failure."""
    tally = Tally()
    try:
        root = xml.etree.ElementTree.parse(path).getroot()
    except (OSError, xml.etree.ElementTree.ParseError) as e:
        tally.fail(f"{what}: no report ({e})")
        return tally
    for case in root.iter("testcase"):
        name = f"{case.get('classname', '').replace('.', '/')}::{case.get('name')}"
        failure = case.find("failure")
        if failure is None:
            failure = case.find("error")
        skipped = case.find("skipped")
        if failure is not None:
            tally.fail(name)
        elif skipped is not None:
            tally.skip(name, skipped.get("message", ""))
        else:
            tally.ok()
    return tally


class Started:
    """A command in a process group of its own, which runs beside the caller. What it prints is
    the caller's own output, or with `capture` kept for the end. Whoever starts it ends it, whatever
    happens meanwhile: by wait() or by stop()."""

    def __init__(self, command, *, env=None, cwd=None, capture=False):
        # A file and not a pipe, as nobody may be reading yet.
        self._output = tempfile.TemporaryFile() if capture else None
        self._child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, env=env, cwd=cwd, start_new_session=True,
            stdout=self._output, stderr=subprocess.STDOUT if capture else None,
        )

    def wait(self, timeout):
        """Its status; None when it was stopped after `timeout` seconds."""
        try:
            return self._child.wait(timeout)
        except subprocess.TimeoutExpired:
            self.stop()
            return None
        except BaseException:
            self.stop()
            raise

    def stop(self):
        """Ends it where it still runs: first with SIGTERM, so that fixtures can take down what
        they made."""
        if self._child.poll() is not None:
            return
        for sig, grace in ((signal.SIGTERM, TERM_GRACE_SECONDS), (signal.SIGKILL, 5)):
            try:
                os.killpg(self._child.pid, sig)
            except ProcessLookupError:
                pass
            try:
                self._child.wait(grace)
                return
            except subprocess.TimeoutExpired:
                continue

    def output(self):
        """What it has printed; once, at the end."""
        if not self._output:
            return ""
        with self._output as f:
            f.seek(0)
            return f.read().decode(errors="replace")


def run(command, timeout, *, env=None, cwd=None, capture=False):
    """Runs a command in a process group of its own. Returns (status, output); a status of None
    means that it was stopped after `timeout` seconds."""
    started = Started(command, env=env, cwd=cwd, capture=capture)
    return started.wait(timeout), started.output()


def build_tests(build, suite):
    """The C tests that the build defines in a suite, as meson describes them."""
    out = subprocess.run(
        ["/usr/bin/python3", "/usr/bin/meson", "introspect", "--tests", build],
        check=True, stdout=subprocess.PIPE,
    ).stdout
    return [t for t in json.loads(out) if f"croft:{suite}" in t["suite"]]


def run_test(test, slowness=1, show=True):
    """Runs one of build_tests(); prints its output only when something failed."""
    name = test["name"]
    start = time.monotonic()
    env = {**os.environ, **test["env"]}
    timeout = (test["timeout"] or 30) * slowness
    status, output = run(test["cmd"], timeout, env=env, cwd=test["workdir"], capture=True)
    if test["protocol"] == "tap":
        tally = count_tap(name, output)
    else:
        tally = Tally()
        if status == 77:
            tally.skip(name, output.strip().splitlines()[-1] if output.strip() else "")
        elif status == 0:
            tally.ok()
    if status is None:
        tally.fail(f"{name}: not done after {timeout} s")
    elif status not in (0, 77) and not tally.failed:
        tally.fail(f"{name}: ended with status {status}")
    if tally.failed and show:
        print(output, flush=True)
    print(f"  {name}: {tally} in {time.monotonic() - start:.1f} s", flush=True)
    return tally


def run_tests(tests, jobs, slowness=1):
    """Runs C tests, the parallel ones `jobs` at a time."""
    total = Tally()
    parallel = [t for t in tests if t["is_parallel"]] if jobs > 1 else []
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for tally in pool.map(lambda t: run_test(t, slowness), parallel):
            total.add(tally)
    for test in tests:
        if test not in parallel:
            total.add(run_test(test, slowness))
    if not tests:
        total.fail("no tests found")
    return total


class Pytest:
    """pytest on args, concisely; runs beside the caller from the moment it is made."""

    def __init__(self, args, report, env=None, capture=False):
        self._report = report
        if os.path.exists(report):
            os.unlink(report)
        self.started = Started([
            "/usr/bin/python3", "-B", "-m", "pytest", "-q", "--no-header", "--tb=short", "-p",
            "no:cacheprovider", f"--junitxml={report}", "-o", "junit_family=xunit1", *args,
        ], env=env, capture=capture)

    def count(self, timeout):
        """Waits for its end, and counts its report."""
        status = self.started.wait(timeout)
        tally = count_junit(self._report, "pytest")
        if status is None:
            tally.fail(f"pytest: not done after {timeout:.0f} s")
        elif status != 0 and not tally.failed:
            tally.fail(f"pytest: ended with status {status}")
        return tally


def run_pytest(args, report, timeout, env=None):
    """Runs pytest on args, and counts its report."""
    return Pytest(args, report, env).count(timeout)


def print_summary(tally):
    """What was skipped and why, what failed, and the line that others read, last."""
    for line in tally.skips:
        print(f"skipped: {line}")
    for line in tally.failures:
        print(f"FAILED: {line}")
    print(tally)
    sys.stdout.flush()
