"""The API: each method of it says what it does, in the comment above it."""

import re

FILES = re.compile(r"proto/croft/.*\.proto")
METHOD = re.compile(r"\s*rpc (\w+)\(")


def check(sources):
    for source in sources:
        for i, line in enumerate(source.lines):
            found = METHOD.match(line)
            if found and not source.lines[i - 1].lstrip().startswith("//"):
                yield source.problem(i + 1, "methods", f"{found[1]}: say what it does")
