#!/usr/bin/python3
"""Archives made to hurt whoever unpacks them, and a few that only look so.

    hostile_tars.py DIR      writes each to DIR and prints "FILE EXPECTED" lines

EXPECTED is what an import with the limits below answers: a reason, or "ok" when the archive is
harmless once it is confined. In Python: `for case in CASES: case.write(directory)`.
"""

import dataclasses
import gzip
import io
import lzma
import os
import random
import struct
import sys
import tarfile
import zipfile
from collections.abc import Callable

MAX_BYTES = 32 << 20
MAX_ENTRIES = 5000

# Nothing may ever appear there. Each name is a file that an escape would write.
ESCAPES = ["/tmp/croft-escape", "/croft-escape", "/var/tmp/croft-escape"]

INVALID = "IMAGE_INVALID"
TOO_LARGE = "IMAGE_TOO_LARGE"
OK = "ok"


@dataclasses.dataclass
class Case:
    name: str
    expected: str
    build: Callable[[], bytes]

    def write(self, directory):
        path = os.path.join(directory, self.name + ".tar")
        with open(path, "wb") as file:
            file.write(self.build())
        return path


CASES: list[Case] = []


def case(expected):
    def register(build):
        CASES.append(Case(build.__name__, expected, build))
        return build

    return register


def entry(name, data=b"", **fields):
    """A member and its data; fields are TarInfo's."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    info.mode = 0o644
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def directory(name, **fields):
    return entry(name, type=tarfile.DIRTYPE, **{"mode": 0o755, **fields})


def symlink(name, target, **fields):
    return entry(name, type=tarfile.SYMTYPE, linkname=target, **fields)


def hardlink(name, target):
    return entry(name, type=tarfile.LNKTYPE, linkname=target)


def tar(*members, format=tarfile.PAX_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def raw_header(name=b"file", size=b"%011o\0" % 0, kind=b"0", uid=b"0000000\0", gid=b"0000000\0"):
    """A ustar header with a right checksum and any field wrong."""
    header = bytearray(512)
    header[0 : len(name)] = name
    header[100:108] = b"0000644\0"
    header[108:116] = uid
    header[116:124] = gid
    header[124:136] = size.ljust(12, b"\0")
    header[136:148] = b"00000000000\0"
    header[148:156] = b" " * 8
    header[156:157] = kind
    header[257:265] = b"ustar\00000"
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


END = bytes(1024)
PLAIN = tar(directory("etc"), entry("etc/hostname", b"croft\n"))


# --- names that lead out -------------------------------------------------------------------


@case(INVALID)
def dotdot():
    return tar(entry("../../../../../../tmp/croft-escape", b"x"))


@case(INVALID)
def dotdot_in_the_middle():
    return tar(directory("a"), entry("a/../../tmp/croft-escape", b"x"))


@case(INVALID)
def dotdot_alone():
    return tar(directory(".."))


@case(INVALID)
def absolute():
    return raw_header(b"/tmp/croft-escape") + END


@case(INVALID)
def empty_name():
    return raw_header(b"") + END


@case(INVALID)
def root_is_a_file():
    return raw_header(b"./.") + END


@case(INVALID)
def root_is_a_link():
    return tar(symlink(".", "/tmp"))


@case(INVALID)
def component_too_long():
    return tar(entry("n" * 300, b"x"))


@case(INVALID)
def name_too_long():
    return tar(entry("/".join(["d" * 200] * 40), b"x"))


@case(INVALID)
def name_too_deep():
    return tar(entry("/".join(["d"] * 1500), b"x"))


# --- links that lead out: resolved in the image's root, as they would be in the container ---


@case(OK)
def symlink_to_the_host():
    return tar(symlink("out", "/tmp"), directory("tmp"), entry("out/croft-escape", b"x"))


@case(OK)
def symlink_upwards():
    return tar(symlink("out", "../../../../../../tmp"), directory("tmp"),
               entry("out/croft-escape", b"x"))


@case(OK)
def symlink_two_hops():
    return tar(symlink("a", ".."), symlink("b", "a/.."), symlink("c", "b/../a/tmp"),
               directory("tmp"), entry("c/croft-escape", b"x"))


@case(OK)
def symlink_chain_through_directories():
    members = [directory("d"), symlink("d/l0", "/")]
    members += [symlink(f"d/l{i}", f"l{i - 1}/d/..") for i in range(1, 8)]
    members += [directory("tmp"), entry("d/l7/tmp/croft-escape", b"x")]
    return tar(*members)


@case(INVALID)
def symlink_loop():
    return tar(symlink("a", "b"), symlink("b", "a"), entry("a/croft-escape", b"x"))


@case(INVALID)
def symlink_dangling():
    return tar(symlink("a", "/nowhere"), entry("a/croft-escape", b"x"))


@case(OK)
def symlink_then_file_of_its_name():
    return tar(symlink("f", "/tmp/croft-escape"), entry("f", b"x"))


@case(INVALID)
def symlink_with_overlong_target():
    return tar(symlink("a", "t" * 5000))


@case(OK)
def proc_links():
    return tar(directory("proc"), symlink("proc/self", "/proc/1/root"),
               symlink("root", "/proc/self/fd/0"))


@case(INVALID)
def hardlink_upwards():
    return tar(hardlink("passwd", "../../../../../../etc/passwd"))


@case(INVALID)
def hardlink_absolute():
    return tar(hardlink("passwd", "/etc/passwd"))


@case(INVALID)
def hardlink_through_a_symlink():
    return tar(symlink("out", "/etc"), hardlink("passwd", "out/passwd"),
               entry("passwd", b"x"))


@case(INVALID)
def hardlink_to_nothing():
    return tar(hardlink("a", "b"))


@case(INVALID)
def hardlink_to_a_directory():
    return tar(directory("d"), hardlink("a", "d"))


@case(INVALID)
def hardlink_to_the_root():
    return tar(hardlink("a", "."))


@case(OK)
def hardlink_to_a_symlink_then_written():
    return tar(symlink("s", "/tmp/croft-escape"), hardlink("h", "s"), entry("h", b"x"))


@case(OK)
def hardlink_to_itself():
    return tar(entry("a", b"x"), hardlink("a", "a"))


# --- what must not come to life ------------------------------------------------------------


@case(OK)
def devices():
    return tar(entry("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
               entry("mem", type=tarfile.CHRTYPE, devmajor=1, devminor=1),
               entry("sda", type=tarfile.BLKTYPE, devmajor=8, devminor=0),
               entry("whiteout", type=tarfile.CHRTYPE, devmajor=0, devminor=0))


@case(OK)
def overlay_attributes():
    pax = {"SCHILY.xattr.trusted.overlay.opaque": "y",
           "SCHILY.xattr.user.overlay.redirect": "/etc",
           "SCHILY.xattr.user.overlay.opaque": "y",
           "SCHILY.xattr.security.selinux": "system_u:object_r:etc_t:s0",
           "SCHILY.xattr.user.kept": "yes"}
    return tar(directory("d", pax_headers=pax), entry(".wh.file", b""), entry(".wh..wh..opq"))


@case(OK)
def foreign_capability():
    """A file capability of another namespace's root: revision 3, root id 1000."""
    value = struct.pack("<IIIIII", 0x03000000, 0xFFFFFFFF, 0, 0xFFFFFFFF, 0, 1000)
    return tar(entry("f", b"x", pax_headers={
        "SCHILY.xattr.security.capability": value.decode("utf-8", "surrogateescape")}))


@case(INVALID)
def user_id_beyond_the_range():
    return tar(entry("f", b"x", uid=65536))


@case(INVALID)
def group_id_beyond_the_range():
    return tar(entry("f", b"x", gid=100000))


@case(INVALID)
def user_id_of_the_kernel():
    return tar(entry("f", b"x", uid=2**32 - 1))


@case(INVALID)
def user_id_wraps():
    return tar(entry("f", b"x", uid=2**32), format=tarfile.GNU_FORMAT)


@case(INVALID)
def user_id_negative():
    return raw_header(uid=b"\xff" * 8) + END


@case(INVALID)
def acl_id_beyond_the_range():
    return tar(entry("f", b"x", pax_headers={
        "SCHILY.acl.access": "user::rw-,user:70000:rwx:70000,group::r--,mask::rwx,other::---"}))


# --- bombs ---------------------------------------------------------------------------------


def zeros(size):
    """A file of zeros without holding it in memory twice."""
    return raw_header(b"zeros", b"%011o\0" % size) + bytes(size) + END


@case(TOO_LARGE)
def plain_too_large():
    return zeros(MAX_BYTES + (1 << 20))


@case(TOO_LARGE)
def gzip_bomb():
    return gzip.compress(zeros(64 << 20), 6)


@case(TOO_LARGE)
def xz_bomb():
    return lzma.compress(zeros(64 << 20), preset=1)


@case(TOO_LARGE)
def many_files_add_up():
    return gzip.compress(tar(*[entry(f"f{i}", bytes(1 << 20)) for i in range(40)]))


@case(INVALID)
def compressed_twice():
    return gzip.compress(gzip.compress(PLAIN))


@case(TOO_LARGE)
def sparse_bomb():
    return tar(entry("sparse", b"x" * 512, pax_headers={
        "GNU.sparse.size": str(1 << 60), "GNU.sparse.numblocks": "1",
        "GNU.sparse.map": "0,512"}))


@case(OK)
def sparse_and_little_in_it():
    return tar(entry("sparse", b"x" * 512, pax_headers={
        "GNU.sparse.size": str(1 << 40), "GNU.sparse.numblocks": "1",
        "GNU.sparse.map": "0,512"}))


@case(TOO_LARGE)
def sparse_far_block():
    return tar(entry("sparse", b"x" * 512, pax_headers={
        "GNU.sparse.size": "1000", "GNU.sparse.numblocks": "1",
        "GNU.sparse.map": f"{1 << 60},512"}))


@case(TOO_LARGE)
def too_many_entries():
    return tar(*[entry(f"f{i}") for i in range(MAX_ENTRIES + 1)])


@case(TOO_LARGE)
def too_many_unnamed_directories():
    return tar(*[entry("/".join(f"{i}-{j}" for j in range(200)) + "/f") for i in range(50)])


@case(TOO_LARGE)
def too_many_devices():
    return tar(*[entry(f"n{i}", type=tarfile.CHRTYPE) for i in range(MAX_ENTRIES + 1)])


@case(TOO_LARGE)
def the_same_name_over_and_over():
    return tar(*[entry("f") for i in range(MAX_ENTRIES + 1)])


# --- damage --------------------------------------------------------------------------------


@case(INVALID)
def nothing():
    return b""


@case(INVALID)
def only_the_end():
    return END


@case(INVALID)
def garbage():
    return random.Random(1).randbytes(100_000)


@case(INVALID)
def garbage_in_gzip():
    return gzip.compress(random.Random(2).randbytes(100_000))


@case(INVALID)
def text():
    return b"#!/bin/sh\necho this is no archive\n" * 100


@case(INVALID)
def truncated_in_a_file():
    return tar(entry("a", bytes(10_000)))[:5000]


@case(INVALID)
def truncated_in_a_header():
    return PLAIN[:700]


@case(INVALID)
def truncated_between_entries():
    whole = tar(entry("a", b"x" * 512), entry("b", b"x" * 512))
    return whole[:1024]


@case(INVALID)
def truncated_gzip():
    return gzip.compress(tar(entry("a", random.Random(3).randbytes(100_000))))[:-2000]


@case(INVALID)
def truncated_xz():
    return lzma.compress(tar(entry("a", random.Random(4).randbytes(100_000))))[:-2000]


@case(INVALID)
def damaged_header_in_the_middle():
    whole = bytearray(tar(entry("a", b"x"), entry("b", b"x")))
    whole[1024 + 10] ^= 0xFF
    return bytes(whole)


@case(INVALID)
def negative_size():
    return raw_header(size=b"\xff" * 12) + END


@case(INVALID)
def size_beyond_all():
    return raw_header(size=b"\x80" + b"\x7f" * 11) + END


@case(INVALID)
def pax_header_beyond_the_end():
    return raw_header(b"pax", b"77777777777\0", b"x") + bytes(512) + END


@case(INVALID)
def pax_length_overflows():
    record = b"99999999999999999999999 path=x\n".ljust(512, b"\0")
    return raw_header(b"pax", b"%011o\0" % 31, b"x") + record + raw_header(b"f") + END


@case(INVALID)
def a_zip():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("../../tmp/croft-escape", b"x")
    return out.getvalue()


@case(INVALID)
def a_cpio():
    name = b"croft-escape\0"
    head = b"070701" + b"%08X" * 13 % (1, 0o100644, 0, 0, 1, 0, 1, 0, 0, 0, 0, len(name), 0)
    return (head + name).ljust(124, b"\0") + b"x\0\0\0"


@case(INVALID)
def an_mtree():
    return b"#mtree\n./f type=file mode=0644 contents=/etc/passwd\n"


# --- entries that get in each other's way --------------------------------------------------


@case(OK)
def duplicates():
    return tar(entry("f", b"first"), entry("f", b"second"), symlink("f", "/etc"),
               entry("f", b"third"), directory("d"), entry("d/x", b"x"),
               directory("d", mode=0o700), directory("e"), entry("e", b"file"))


@case(INVALID)
def file_replaces_a_full_directory():
    return tar(directory("d"), entry("d/x", b"x"), entry("d", b"file"))


@case(INVALID)
def file_below_a_file():
    return tar(entry("f", b"x"), entry("f/g", b"x"))


@case(OK)
def case_clash():
    return tar(entry("File", b"1"), entry("file", b"2"), directory("Dir"), symlink("dir", "Dir"))


@case(OK)
def odd_names():
    return tar(entry("-rf", b"x"), entry("new\nline", b"x"), entry("tab\t\x1b[31m", b"x"),
               entry("ünïcödé", b"x"), entry(" ", b"x"), entry("...", b"x"))


@case(OK)
def bytes_that_are_no_text():
    return raw_header(b"\xff\xfe\xe4") + END


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    # Here, as they import from this file.
    import hostile_exports
    import hostile_images

    for one in CASES + hostile_exports.CASES + hostile_images.CASES:
        print(os.path.basename(one.write(sys.argv[1])), one.expected)


if __name__ == "__main__":
    main()
