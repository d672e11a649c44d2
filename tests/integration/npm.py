"""Programs of other languages for the tests, from npm, once, into the build directory."""

import os
import shutil
import subprocess

import pytest

from croft_harness import BUILD

NPM_SECONDS = 180


def install(place, present, *packages):
    """Installs packages ("name@version") into BUILD/place unless the file `present` of
    node_modules is there; returns node_modules. Skips the test where npm cannot."""
    directory = os.path.join(BUILD, place)
    modules = os.path.join(directory, "node_modules")
    if os.path.exists(os.path.join(modules, present)):
        return modules
    if not shutil.which("npm"):
        pytest.skip(f"npm is not installed, which {packages[0]} would come from")
    result = subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "--prefix", directory, *packages],
        capture_output=True, text=True, timeout=NPM_SECONDS, check=False)
    if result.returncode != 0:
        pytest.skip(f"npm cannot install {packages[0]}: {result.stderr.strip()[-300:]}")
    return modules
