"""Docker's and Podman's own seccomp profiles, as they are, in the operator's folder of policies."""

import os
import shutil
import subprocess

import pytest

import kernel
from croft_harness import ROOT, program
from fixtures import Kept, keep

SCRIPT = os.path.join(ROOT, "tests", "images", "profiles")
PROFILES = os.path.join(ROOT, "build", "profiles")
NAMES = ("docker", "docker-old", "podman")


@pytest.fixture(scope="module", autouse=True)
def profiles():
    subprocess.run([SCRIPT], check=True, stdin=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def kept(schema, profiles):
    class WithProfiles(Kept):
        def make(self):
            daemon = super().make()
            for name in NAMES:
                shutil.copy(os.path.join(PROFILES, f"{name}.json"), daemon.policies)
            return daemon

    yield from keep(WithProfiles(schema))


@pytest.mark.parametrize("name", NAMES)
def test_check_says_what_it_would_do(name):
    done = subprocess.run(
        [program("croft"), "policy", "check", os.path.join(PROFILES, f"{name}.json")],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    assert "ERRNO" in done.stdout, done


@pytest.mark.parametrize("name", NAMES)
def test_a_container_runs_under_it(box, name):
    """It starts, commands run in it, and it is this profile that they run under."""
    box.tenant()
    box.launch("acme/web", options=["--policy", name])
    box.put_probe("acme/web")
    assert kernel.status_field(box.init_pid("acme/web"), "Seccomp") == "2"
    assert box.sh("acme/web", "echo a | cat; mkdir /t && ls -d /t") == "a\n/t\n"
    # A call that no kernel has gets their default.
    unknown = {"docker": "EPERM", "docker-old": "EPERM", "podman": "ENOSYS"}[name]
    assert box.syscall("acme/web", 9999) == unknown
    assert box.syscall("acme/web", 246, 0, 0, 0, 0) == "EPERM"  # kexec_load
    # sethostname is CAP_SYS_ADMIN's, which a container holds; not so in the old file.
    hostname = box.exec("acme/web", "/bin/hostname", "mine")
    assert (hostname.rc == 0) == (name != "docker-old"), hostname
    box.ok("stop", "acme/web")
