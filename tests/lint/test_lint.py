"""Each rule fires on what it is for, and stays silent beside it."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import events  # noqa: E402
import folders  # noqa: E402
import methods  # noqa: E402
import rules  # noqa: E402
from source import Source  # noqa: E402

OPENING = "/* What this does. */\n"


def found(check, path, text):
    return [p.rule for p in check(Source(path, text))]


def function(lines, name="f"):
    body = "\tg();\n" * (lines - 4)
    return f"static int {name}(int a,\n\tint b)\n{{\n{body}}}\n"


@pytest.mark.parametrize(
    "path,include,rule",
    [
        ("base/x.c", '"sandbox/pool.h"', "folder"),
        ("base/x.c", '"base/err.h"', None),
        ("sandbox/x.c", '"server/grpc.h"', "folder"),
        ("sandbox/x.c", '"proto/croft/v1/limits.pb-c.h"', "folder"),
        ("sandbox/x.c", '"croft/v1/limits.pb-c.h"', "folder"),
        ("sandbox/x.c", '"policy/format.h"', None),
        ("sandbox/x.c", '"policy/compile.h"', "folder"),
        ("policy/x.c", '"sandbox/pool.h"', "folder"),
        ("server/x.c", '"sandbox/supervisor_client.h"', None),
        ("server/x.c", '"sandbox/cgroup.h"', "folder"),
        ("server/x.c", '"croft/v1/limits.pb-c.h"', None),
        ("server/x.c", "<google/rpc/status.pb-c.h>", None),
        ("sandbox/x.c", "<google/rpc/status.pb-c.h>", "folder"),
        ("cli/x.c", '"policy/check.h"', None),
        ("cli/x.c", '"server/grpc.h"', "folder"),
        ("extra/x.c", '"base/err.h"', "folder"),
        ("base/x.c", "<stdio.h>", None),
        ("base/x.c", "<linux/btrfs.h>", None),
        ("base/x.c", "<sqlite3.h>", "library"),
        ("sandbox/x.c", "<event2/event.h>", "library"),
        ("sandbox/x.c", "<nghttp2/nghttp2.h>", "library"),
        ("sandbox/x.c", "<jansson.h>", "library"),
        ("sandbox/x.c", "<archive.h>", "library"),
        ("sandbox/importer.c", "<archive.h>", None),
        ("sandbox/x.c", "<sys/capability.h>", None),
        ("server/x.c", "<seccomp.h>", "library"),
        ("server/x.c", "<sys/capability.h>", "library"),
        ("server/x.c", "<sqlite3.h>", None),
        ("cli/x.c", "<event2/event.h>", "library"),
        ("cli/x.c", "<glib.h>", "library"),
    ],
)
def test_includes(path, include, rule):
    rules_found = found(folders.check_includes, path, f"{OPENING}#include {include}\n")
    assert rules_found == ([rule] if rule else [])


def test_needed():
    bad = lambda name, libs: list(folders.check_needed(name, libs))  # noqa: E731
    assert bad("croft-supervisor", ["libcap.so.2", "libc.so.6", "libseccomp.so.2"]) == []
    for lib in ("libjansson.so.4", "libsqlite3.so.0", "libnghttp2.so.14", "libarchive.so.13",
                "libevent-2.1.so.7", "libprotobuf-c.so.1", "libssl.so.3"):
        assert bad("croft-supervisor", ["libc.so.6", lib]) == [lib]
    assert bad("croftd", ["libevent-2.1.so.7", "libevent_core-2.1.so.7", "libssl.so.3"]) == []
    assert bad("croftd", ["libseccomp.so.2"]) == ["libseccomp.so.2"]
    assert bad("croftd", ["libcap.so.2"]) == ["libcap.so.2"]
    assert bad("croft-init", ["libc.so.6"]) == ["libc.so.6"]


def test_sizes():
    assert found(rules.check_sizes, "base/x.c", "\n" * 600) == []
    assert found(rules.check_sizes, "base/x.c", "\n" * 601) == ["file-size"]
    assert found(rules.check_sizes, "base/x.py", "\n" * 601) == ["file-size"]
    assert found(rules.check_sizes, "base/x.c", function(80)) == []
    assert found(rules.check_sizes, "base/x.c", function(81)) == ["function-size"]


def test_functions_are_told_from_tables():
    text = "int t[] = {\n" + "\t1,\n" * 100 + "};\n\n" + function(10) + "\n" + function(90, "big")
    names = [(n, b - a + 1) for n, a, b in Source("base/x.c", text).functions()]
    assert names == [("f", 10), ("big", 90)]


@pytest.mark.parametrize(
    "text,rule",
    [
        ("x = system(cmd);", "call"),
        ("x = popen(cmd, mode);", "call"),
        ("strcpy(a, b);", "call"),
        ('strcpy(a, "literal");', None),
        ("sprintf(a, b);", "call"),
        ("snprintf(a, n, b);", None),
        ("x->signal(1);", None),
        ("file_system(1);", None),
        ("/* system(3) is not used */", None),
        ('log("system(3)");', None),
        ("signal(SIGCHLD, handler);", "call"),
        ("signal(SIGPIPE, SIG_IGN);", None),
        ("exit(1);", "call"),
        ("_exit(1);", None),
        ("assert(x);", "call"),
        ("static_assert(x);", None),
        ("open(path, O_RDONLY);", "cloexec"),
        ("open(path, O_RDONLY | O_CLOEXEC);", None),
        ("openat(d, path,\n\tO_RDONLY |\n\tO_CLOEXEC);", None),
        ("socket(AF_UNIX, SOCK_STREAM, 0);", "cloexec"),
        ("openat(d, path, flags);", None),
        ('fopen(path, "r");', "cloexec"),
        ('fopen(path, "re");', None),
        ("pipe(p);", "call"),
        ("pthread_create(&t);", "call"),
        ("getpwnam(n);", "call"),
    ],
)
def test_calls(text, rule):
    code = f"{OPENING}static void f(void)\n{{\n\t{text}\n}}\n"
    assert found(rules.check_calls, "sandbox/x.c", code) == ([rule] if rule else [])


def test_main_may_exit():
    code = "static void usage(void)\n{\n\texit(2);\n}\n\nint main(void)\n{\n\tusage();\n}\n"
    assert found(rules.check_calls, "cli/main.c", OPENING + code) == []


LISTED = ("//   tenant.created          uid, plan\n//   tenant.updated          changes\n"
          "//                           tenant.nothing: goes on\n"
          "//   host.shutdown\n//   forward.added, forward.deleted  address\n"
          "service Events {\n//   tenant.behind\n}\n")
TOLD = ('events_add_tenant(tx, t, "tenant.created");\nevents_add_tenant(tx, t, c ? "tenant.updated"'
        ' : "host.shutdown");\nx("forward.added", "forward.deleted");\n')


@pytest.mark.parametrize("told,problems", [
    (TOLD, []),
    (TOLD + 'x("tenant.unheard_of");\n', ["tenant.unheard_of is not in"]),
    (TOLD.replace("forward.added", "forward.deleted"), ["nobody tells of forward.added"]),
    (TOLD.replace("host.shutdown", "host.broken"),
     ["host.broken is not in", "nobody tells of host.shutdown"]),
])
def test_events_are_those_that_are_listed(told, problems):
    sources = [Source("server/x.c", OPENING + told),
               Source("server/meters.c", OPENING + 'x = "tenant.meter";\n'),
               Source("tests/x.c", OPENING + told + 'events_add_tenant("tenant.other");\n')]
    found = [p.text for p in events.check(Source(events.LIST, LISTED), sources)]
    assert len(found) == len(problems)
    assert all(text.startswith(start) for text, start in zip(found, problems)), found


def test_methods_say_what_they_do():
    method = "  rpc Make(A) returns (B) {\n"
    for above, problems in (("  // Makes one.\n", 0), ("  }\n", 1)):
        source = Source("proto/croft/v1/x.proto", "service X {\n" + above + method)
        assert len(list(methods.check([source]))) == problems


def test_opening():
    assert found(rules.check_opening, "base/x.c", "#include <a.h>\n") == ["opening"]
    assert found(rules.check_opening, "base/x.c", OPENING) == []
    assert found(rules.check_opening, "base/x.h", OPENING) == ["pragma-once"]
    assert found(rules.check_opening, "base/x.h", OPENING + "#pragma once\n") == []


def test_words():
    word = "TO" + "DO"
    assert found(rules.check_words, "base/x.c", f"/* {word}: later */\n") == ["words"]
    assert found(rules.check_words, "base/x.c", f'x = "{word}";\n') == []
    assert found(rules.check_words, "tests/x.py", f"x = 1  # {word}\n") == ["words"]


def test_lines():
    assert found(rules.check_lines, "base/x.c", "int a; \n") == ["whitespace"]
    assert found(rules.check_lines, "base/x.c", "int a;") == ["whitespace"]
    assert found(rules.check_lines, "tests/x.py", "x" * 101 + "\n") == ["columns"]
