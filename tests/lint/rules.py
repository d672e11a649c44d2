"""Rules on the text of one file: sizes, opening comments, words, calls."""

import re

FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 80
COLUMNS_MAX = 100

BANNED_WORDS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")

# name: why
BANNED_CALLS = {
    "system": "runs a shell",
    "popen": "runs a shell",
    "execlp": "searches PATH",
    "execvp": "searches PATH",
    "strcat": "has no bound",
    "stpcpy": "has no bound",
    "sprintf": "has no bound",
    "vsprintf": "has no bound",
    "gets": "has no bound",
    "strtok": "keeps state",
    "atoi": "cannot fail",
    "atol": "cannot fail",
    "atoll": "cannot fail",
    "alloca": "grows the stack",
    "rand": "is no randomness",
    "random": "is no randomness",
    "tmpnam": "races",
    "mktemp": "races",
    "gmtime": "keeps state",
    "localtime": "keeps state",
    "strerror_l": "depends on a locale",
    "assert": "aborts; peers and tenants must not be able to",
    "abort": "peers and tenants must not be able to",
    # A descriptor that is not close-on-exec at birth.
    "accept": "is not close-on-exec; use accept4",
    "pipe": "is not close-on-exec; use pipe2",
    "creat": "is not close-on-exec; use open",
    "epoll_create": "is not close-on-exec; use epoll_create1",
    "inotify_init": "is not close-on-exec; use inotify_init1",
}
# Calls that some folders must not make.
FOLDER_CALLS = {
    "sandbox": {
        "pthread_create": "the supervisor has no threads",
        "getpwnam": "the host's NSS runs foreign code",
        "getpwuid": "the host's NSS runs foreign code",
        "getgrnam": "the host's NSS runs foreign code",
        "getgrgid": "the host's NSS runs foreign code",
        "getaddrinfo": "the host's NSS runs foreign code",
    },
    "base": {
        "exit": "no exit outside main",
        "_exit": "no exit outside main",
        "malloc_trim": "libraries leave the allocator alone",
    },
}

# Each needs CLOEXEC among its arguments, or a variable that carries flags on.
CLOEXEC_CALLS = (
    "open", "openat", "openat2", "socket", "socketpair", "accept4", "pipe2", "memfd_create",
    "eventfd", "timerfd_create", "signalfd", "epoll_create1", "inotify_init1", "dup3", "fsopen",
    "fsmount", "open_tree",
)


def check_sizes(source):
    if len(source.lines) > FILE_LINES_MAX:
        yield source.problem(
            FILE_LINES_MAX + 1, "file-size",
            f"{len(source.lines)} lines; at most {FILE_LINES_MAX}: what is this two of?",
        )
    if not source.is_c:
        return
    for name, first, last in source.functions():
        if last - first + 1 > FUNCTION_LINES_MAX:
            yield source.problem(
                first, "function-size",
                f"{name}() has {last - first + 1} lines; at most {FUNCTION_LINES_MAX}",
            )


def check_opening(source):
    """A .c file says what it is; a header has #pragma once and says what it is for."""
    first = next((line for line in source.lines if line.strip()), "")
    if not first.startswith("/*"):
        yield source.problem(1, "opening", "begin with a comment: what this does, and what never")
    if source.is_header and not re.search(r"^#pragma once$", source.text, re.MULTILINE):
        yield source.problem(1, "pragma-once", "a header needs #pragma once")


def check_words(source):
    if source.path.startswith("tests/lint/"):
        return  # names the words it bans
    for line, text in source.comments():
        m = BANNED_WORDS.search(text)
        if m:
            yield source.problem(line, "words", f"{m.group(0)}: do it, or open an issue")


def _calls(source, name):
    """Offsets of calls of `name` in the code: not members, not declarations, not longer names."""
    return (m.start(1) for m in re.finditer(rf"(?<![\w.>])({name})\s*\(", source.code))


def _arguments(code, offset):
    """The text between the parentheses that open at or after offset."""
    start = code.index("(", offset)
    depth = 0
    for i in range(start, len(code)):
        depth += {"(": 1, ")": -1}.get(code[i], 0)
        if depth == 0:
            return code[start + 1 : i]
    return code[start + 1 :]


def check_calls(source):
    if source.is_test:
        return
    for name, why in BANNED_CALLS.items():
        for offset in _calls(source, name):
            yield source.problem(source.line_of(offset), "call", f"{name}() {why}")
    for name, why in FOLDER_CALLS.get(source.folder, {}).items():
        for offset in _calls(source, name):
            yield source.problem(source.line_of(offset), "call", f"{name}(): {why}")
    for offset in _calls(source, "signal"):
        # With a handler its meaning differs between systems; these two mean one thing.
        if not re.search(r"SIG_DFL|SIG_IGN", _arguments(source.code, offset)):
            yield source.problem(source.line_of(offset), "call", "signal(): use sigaction()")
    for offset in _calls(source, "strcpy"):
        # Of a literal the compiler sees whether it fits, and _FORTIFY_SOURCE refuses if not.
        if '"' not in source.text[offset : source.text.find(")", offset)]:
            yield source.problem(source.line_of(offset), "call", "strcpy() has no bound")
    for offset in _calls(source, "setlocale"):
        if "LC_CTYPE" not in _arguments(source.code, offset):
            yield source.problem(source.line_of(offset), "call", "setlocale() changes numbers")
    yield from _check_exit(source)
    yield from _check_cloexec(source)


def _check_exit(source):
    """exit() runs handlers of the process that it was called in: only main() may."""
    mains = [(a, b) for name, a, b in source.functions() if name == "main"]
    for offset in _calls(source, "exit"):
        line = source.line_of(offset)
        if not mains:
            yield source.problem(line, "call", "exit() outside the file of main()")


def _check_cloexec(source):
    if source.is_header:
        return
    # The file's own macros for a set of flags count as what they stand for.
    macros = re.findall(r"#define[ \t]+(\w+)[ \t].*CLOEXEC", source.text)
    carries = re.compile("|".join(["CLOEXEC", "flags", r"\bhow\b", *macros]))
    for name in CLOEXEC_CALLS:
        for offset in _calls(source, name):
            arguments = _arguments(source.code, offset)
            # Without /dev/null on 0, 1 and 2 a later descriptor would land there.
            fills_stdio = '"/dev/null"' in source.text[offset : offset + 60]
            if not fills_stdio and not carries.search(arguments):
                yield source.problem(
                    source.line_of(offset), "cloexec", f"{name}() without its CLOEXEC flag"
                )
    for m in re.finditer(r'(?<![\w.>])(fopen|fdopen|freopen)\s*\([^;]*?,\s*"(\w\+?b?)"',
                         source.text):
        if m.group(1) == "fopen":
            yield source.problem(source.line_of(m.start()), "cloexec", 'fopen() without "e"')


def check_lines(source):
    for i, line in enumerate(source.lines, 1):
        if line != line.rstrip():
            yield source.problem(i, "whitespace", "trailing space")
        if not source.is_c and len(line.expandtabs(8)) > COLUMNS_MAX:
            yield source.problem(i, "columns", f"more than {COLUMNS_MAX} columns")
    if source.text and not source.text.endswith("\n"):
        yield source.problem(len(source.lines), "whitespace", "no newline at the end")
