"""Who may use whom: DESIGN.md's folder and process tables, as data.

A folder's row says which of our headers and which libraries its files may include. A binary's row
says what it may be linked with in the end, which also catches what comes through a static library.
"""

import re

# A library: its headers.
LIBRARIES = {
    "libarchive": r"archive(_entry)?\.h",
    "libbtrfsutil": r"btrfsutil\.h",
    "libcap": r"sys/capability\.h",
    "libcmocka": r"cmocka\.h",
    "libcurl": r"curl/.*",
    "libevent": r"(event2/.*|event\.h|evutil\.h)",
    "libjansson": r"jansson(_config)?\.h",
    "libmnl": r"libmnl/.*",
    "libnettle": r"nettle/.*",
    "libnftables": r"nftables/.*",
    "libnghttp2": r"nghttp2/.*",
    "libprotobuf-c": r"protobuf-c/.*",
    "libseccomp": r"seccomp\.h",
    "libsmartcols": r"libsmartcols/.*",
    "libsqlite3": r"sqlite3\.h",
    "libssl": r"openssl/.*",
}

# C, POSIX and Linux.
LIBC_HEADERS = re.compile(
    r"((linux|sys|net|netinet|arpa|asm|bits)/[\w/-]+|alloca|assert|byteswap|ctype|dirent|dlfcn|"
    r"elf|endian|err|errno|error|fcntl|fnmatch|ftw|getopt|glob|grp|inttypes|langinfo|libgen|"
    r"limits|link|locale|malloc|math|mntent|netdb|paths|poll|pthread|pty|pwd|regex|sched|search|"
    r"semaphore|setjmp|signal|spawn|stdalign|stdarg|stdatomic|stdbool|stddef|stdint|stdio|"
    r"stdlib|stdnoreturn|string|strings|syscall|syslog|termios|threads|time|ucontext|unistd|"
    r"utime|utmp|wait|wchar|wctype)\.h"
)

GENERATED = r"(croft|google|grpc)/.*\.pb-c\.h"

# folder: (our headers, libraries)
FOLDERS = {
    "base": (r"base/.*", set()),
    "sandbox": (
        r"((base|sandbox)/.*|policy/format\.h)",  # docs/adr/0004
        {
            "libarchive", "libcap", "libjansson", "libmnl", "libnettle", "libnftables",
            "libseccomp",
        },
    ),
    "policy": (r"(base|policy)/.*", {"libjansson", "libseccomp"}),
    "server": (
        rf"((base|server)/.*|sandbox/supervisor_client\.h|proto/\w+\.h|{GENERATED})",
        {
            "libcurl", "libevent", "libjansson", "libnghttp2", "libprotobuf-c", "libsqlite3",
            "libssl",
        },
    ),
    "cli": (
        rf"((base|cli|policy)/.*|proto/\w+\.h|{GENERATED})",
        {"libjansson", "libnghttp2", "libprotobuf-c", "libsmartcols"},
    ),
    "proto": (rf"(base/.*|proto/\w+\.h|{GENERATED})", {"libprotobuf-c"}),
    "tests": (r".*", set(LIBRARIES)),
}

# Within sandbox/, a library that only some processes may have: the files that may include it.
ONLY_IN = {
    "libarchive": r"sandbox/(importer|packer|archive)[\w/]*\.[ch]",
    "libjansson": r"(cli|policy|server|sandbox/importer)/[\w]*\.[ch]",
    "libnettle": r"sandbox/(importer|packer)/[\w]*\.[ch]",
    "libnftables": r"sandbox/net/\w*\.[ch]",
}

_LIBC = {"libc.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1", "libm.so.6", "libgcc_s.so.1"}
# binary: what may stand in its NEEDED entries, without version; None: static, none at all.
BINARIES = {
    "croft": {
        "libcroft", "libjansson", "libnghttp2", "libprotobuf-c", "libseccomp", "libsmartcols",
    },
    "croft-files": None,
    "croft-packer": {"libarchive", "libcap", "libnettle", "libseccomp"},
    "croft-importer": {"libarchive", "libcap", "libjansson", "libnettle", "libseccomp"},
    "croft-init": None,
    "croft-manual": {
        "libcroft", "libjansson", "libnghttp2", "libprotobuf-c", "libseccomp", "libsmartcols",
    },
    "croft-net": {"libcap", "libmnl", "libnftables"},
    "croft-refuser": set(),
    "croft-policy": {"libjansson", "libseccomp"},
    "croft-supervisor": {"libcap", "libmnl", "libseccomp"},
    "croftd-manual": set(),
    "croftd": {
        "libcrypto", "libcurl", "libevent", "libevent_core", "libevent_extra", "libevent_openssl",
        "libevent_pthreads", "libjansson", "libnghttp2", "libprotobuf-c", "libsqlite3", "libssl",
    },
}
# Those that the build must define.
REQUIRED_BINARIES = set(BINARIES)

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)


def _library_of(header):
    for library, pattern in LIBRARIES.items():
        if re.fullmatch(pattern, header):
            return library
    return None


def check_includes(source):
    """Rules `folder` and `library` on one C file."""
    if source.folder not in FOLDERS:
        yield source.problem(1, "folder", f"{source.folder}/ is not a folder of DESIGN.md")
        return
    ours, libraries = FOLDERS[source.folder]
    for m in INCLUDE.finditer(source.text):
        line = source.line_of(m.start(0))
        own, system = m.groups()
        if system and re.fullmatch(GENERATED, system):
            own = system
        if own:
            if not re.fullmatch(ours, own):
                yield source.problem(line, "folder", f"{source.folder}/ may not include {own}")
            continue
        library = _library_of(system)
        if library is None:
            if not LIBC_HEADERS.fullmatch(system) and not source.is_test:
                yield source.problem(
                    line, "library", f"<{system}> is neither libc's nor in tests/lint/folders.py"
                )
        elif library not in libraries:
            yield source.problem(line, "library", f"{source.folder}/ may not use {library}")
        elif not source.is_test and library in ONLY_IN:
            if not re.fullmatch(ONLY_IN[library], source.path):
                yield source.problem(line, "library", f"{library} only in {ONLY_IN[library]}")


def check_needed(name, needed):
    """The libraries in a binary's NEEDED entries that its row does not have."""
    allowed = BINARIES[name]
    for entry in needed:
        if allowed is None:
            yield entry
            continue
        # libevent-2.1.so.7 and libevent_core-2.1.so.7 carry their version before the suffix.
        stem = re.sub(r"(-[\d.]+)?\.so(\.[\d.]+)?$", "", entry)
        if entry not in _LIBC and stem not in allowed:
            yield entry
