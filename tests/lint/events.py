"""Events: what is documented in events.proto is what croftd tells of, type by type.

A type is the string with which an event is added; its documentation is the head of a line of the
list before `service Events`.
"""

import re

from source import Problem

LIST = "proto/croft/v1/events.proto"
TYPES = r"[a-z]+\.[a-z_]+(?:, [a-z]+\.[a-z_]+)*"
# "//   tenant.created          uid, plan": two spaces or the line's end behind the types.
DOCUMENTED = re.compile(rf"//   ({TYPES})(?:  .*| [a-z].*)?")
ADDS = re.compile(r"\bevents_add_[a-z]+\(|\bevent_(feed|row)\b|#include \"server/events\.h\"")


def documented(source):
    """{type: line}"""
    found = {}
    for number, line in enumerate(source.lines, 1):
        match = DOCUMENTED.fullmatch(line)
        if match:
            found.update((kind, number) for kind in match[1].split(", "))
        if line.startswith("service "):
            break
    return found


def told(source, domains):
    """(type, line) of each string that looks like one, of a file that adds events."""
    if source.folder != "server" or not source.is_c or not ADDS.search(source.text):
        return
    literal = re.compile(rf'"((?:{"|".join(sorted(domains))})\.[a-z_]+)"')
    for number, line in enumerate(source.lines, 1):
        yield from ((match[1], number) for match in literal.finditer(line))


def check(listing, sources):
    """listing: the source of LIST."""
    types = documented(listing)
    domains = {kind.split(".")[0] for kind in types}
    seen = set()
    for source in sources:
        for kind, number in told(source, domains):
            seen.add(kind)
            if kind not in types:
                yield Problem(source.path, number, "events", f"{kind} is not in {LIST}")
    for kind in sorted(set(types) - seen):
        yield Problem(LIST, types[kind], "events", f"nobody tells of {kind}")
