"""make tour: what a newcomer does on the first day, every step of it, and nothing left behind."""

import glob
import os
import re
import subprocess

from croft_harness import PATIENCE, ROOT, program

STEPS = ["start the daemon", "make room for containers", "import an image", "launch", "list",
         "set limits", "exec", "push 16 MiB", "pull 16 MiB", "snapshot", "break it",
         "kill, restore, start", "forward a port", "fetch a page from outside", "copy and start",
         "export", "delete", "import and start", "look into it", "stop in order",
         "delete the rest", "stop the daemon"]
# These go by `croft export` and `croft import`.
EXPORTED = ["export", "import and start", "look into it"]


def has_command(name):
    return subprocess.run([program("croft"), name, "--help"], capture_output=True, timeout=60,
                          check=False).returncode == 0


def holdings(pid):
    """What a tour with this process id could leave: directories, namespaces, cgroups."""
    patterns = ("/tmp/croft-tour-*", f"/run/netns/croft-*-{pid}-*",
                f"/sys/fs/cgroup/croft-test-{pid}-*", f"/sys/fs/cgroup/*/croft-test-{pid}-*")
    return [path for pattern in patterns for path in glob.glob(pattern)]


def test_every_step_succeeds():
    before = set(glob.glob("/tmp/croft-tour-*"))
    tour = subprocess.Popen([os.path.join(ROOT, "tests", "tour", "run"), "--croft-only"],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)
    try:
        out, err = tour.communicate(timeout=240 * PATIENCE)
    finally:
        if tour.poll() is None:
            tour.terminate()
            tour.communicate()
    assert (tour.returncode, err) == (0, ""), out + err
    rows = dict(re.split(r"  +", line) for line in out.splitlines() if line)
    assert list(rows) == ["step", *STEPS], out
    assert rows.pop("step") == "Croft ms"
    exports = has_command("export") and has_command("import")
    for step, figure in rows.items():
        if step in EXPORTED and not exports:
            assert figure == "not there yet", step
        else:
            assert float(figure) > 0, step
    assert set(holdings(tour.pid)) <= before
