"""What was linked: NEEDED against the table, and the hardening that every binary must have."""

import json
import os
import re
import subprocess

from folders import BINARIES, REQUIRED_BINARIES, check_needed
from source import Problem


def built_executables(build):
    """name -> path of each executable that the build defines outside tests/."""
    out = subprocess.run(
        ["/usr/bin/python3", "/usr/bin/meson", "introspect", "--targets", build],
        check=True, stdout=subprocess.PIPE,
    ).stdout
    found = {}
    for target in json.loads(out):
        defined_in = os.path.realpath(target["defined_in"])
        if target["type"] == "executable" and "/tests/" not in defined_in:
            found[target["name"]] = target["filename"][0]
    return found


def needed(path):
    out = subprocess.run(
        ["readelf", "-d", "-W", path], check=True, stdout=subprocess.PIPE
    ).stdout.decode()
    return re.findall(r"\(NEEDED\).*\[(.+)\]", out)


def hardening_problems(path, static):
    """What is missing of PIE, RELRO, BIND_NOW and a stack that cannot be executed."""
    out = subprocess.run(
        ["readelf", "-h", "-d", "-l", "-W", path], check=True, stdout=subprocess.PIPE
    ).stdout.decode()
    if not static and not re.search(r"Type:\s+DYN", out):
        yield "is not position-independent"
    if "GNU_RELRO" not in out:
        yield "has no RELRO"
    if not static and "BIND_NOW" not in out and not re.search(r"FLAGS_1.*NOW", out):
        yield "binds lazily"
    stack = re.search(r"GNU_STACK.*", out)
    if not stack or re.search(r"\bRWE\b", stack.group(0)):
        yield "has an executable stack"
    if re.search(r"\((RPATH|RUNPATH)\)", out):
        yield "searches libraries in a path of the build machine"


def check(root, build):
    if not os.path.isfile(os.path.join(build, "build.ninja")):
        yield Problem(build, 0, "links", "nothing is built here; run make build")
        return
    executables = built_executables(build)
    for name in sorted(REQUIRED_BINARIES - set(executables)):
        yield Problem("meson.build", 0, "links", f"no target builds {name}")
    for name, path in sorted(executables.items()):
        shown = os.path.relpath(path, root)
        if name not in BINARIES:
            yield Problem(shown, 0, "links", f"{name} has no row in tests/lint/folders.py")
            continue
        if not os.path.isfile(path):
            yield Problem(shown, 0, "links", "is defined but not built")
            continue
        for entry in check_needed(name, needed(path)):
            yield Problem(shown, 0, "links", f"{name} may not be linked with {entry}")
        for text in hardening_problems(path, static=BINARIES[name] is None):
            yield Problem(shown, 0, "hardening", f"{name} {text}")
