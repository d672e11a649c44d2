"""Rules that need a tool: clang-format on every C file, each header compiled on its own."""

import concurrent.futures
import os
import re
import shutil
import subprocess

from source import Problem

PACKAGES = (
    "libcurl", "libprotobuf-c", "libevent", "libnghttp2", "libseccomp", "jansson", "sqlite3",
)


def check_format(root, sources):
    tool = shutil.which("clang-format-14") or shutil.which("clang-format")
    if not tool:
        yield Problem("Makefile", 0, "format", "clang-format-14 is missing; run make deps")
        return
    paths = [s.path for s in sources if s.is_c]
    if not paths:
        return
    run = subprocess.run(
        [tool, "--dry-run", "--style=file", *paths], cwd=root,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    seen = set()
    for m in re.finditer(r"^(\S+?):(\d+):\d+: (?:warning|error): (.*)$",
                         run.stdout.decode(), re.MULTILINE):
        path, line, text = m.group(1), int(m.group(2)), m.group(3)
        if path not in seen:  # the first place of a file is enough
            seen.add(path)
            yield Problem(path, line, "format", f"{text.split(' [')[0]}; run make format")
    if run.returncode and not seen:
        yield Problem(".clang-format", 0, "format", run.stdout.decode().strip())


def _compile(command, root, path):
    run = subprocess.run(
        [*command, "-x", "c", "-"], cwd=root, input=f'#include "{path}"\n'.encode(),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    if run.returncode == 0:
        return None
    first = next((l for l in run.stdout.decode().splitlines() if "error" in l), "does not compile")
    return Problem(path, 1, "self-contained", first)


def check_headers(root, build, sources):
    """Each header must compile when it is the only thing included."""
    flags = subprocess.run(
        ["pkg-config", "--cflags", *PACKAGES], stdout=subprocess.PIPE, check=True
    ).stdout.decode().split()
    command = [
        "gcc", "-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
        "-I", root, "-I", os.path.join(build, "proto"), *flags,
    ]
    headers = [s.path for s in sources if s.is_header]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for problem in pool.map(lambda p: _compile(command, root, p), headers):
            if problem:
                yield problem
