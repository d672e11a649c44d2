"""All that a tree on disk holds, written down on one host and compared on another.

As a program, `tree_listing.py UPPER LOWER POINT`: of what overlayfs makes of the two, mounted at
POINT in a mount namespace of its own, as JSON.
"""

import errno
import hashlib
import json
import os
import stat
import subprocess
import sys

BLOCK = 1 << 16
XFS_ACL = "trusted.SGI_ACL_"  # how XFS lists an ACL a second time


def _blocks(fd, size):
    """Those that hold data, and where: file systems differ in what they make holes of."""
    at = 0
    while at < size:
        try:
            at = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as e:
            if e.errno != errno.ENXIO:
                raise
            return
        end = os.lseek(fd, at, os.SEEK_HOLE)
        for at in range(at // BLOCK * BLOCK, end, BLOCK):
            yield at, os.pread(fd, BLOCK, at)
        at += BLOCK


def _contents(path, size):
    digest = hashlib.sha256(b"%d" % size)
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        for at, block in _blocks(fd, size):
            if block.rstrip(b"\0"):
                digest.update(b"%d:" % at + block)
    finally:
        os.close(fd)
    return digest.hexdigest()


def _entry(path, first):
    st = os.lstat(path)
    found = {
        "mode": oct(st.st_mode), "owner": [st.st_uid, st.st_gid],
        "xattrs": {n: os.getxattr(path, n, follow_symlinks=False).hex()
                   for n in os.listxattr(path, follow_symlinks=False)
                   if not n.startswith(XFS_ACL)},
    }
    if stat.S_ISLNK(st.st_mode):
        found["target"] = os.fsdecode(os.readlink(path))
    else:
        found["mtime"] = st.st_mtime_ns
    if stat.S_ISREG(st.st_mode):
        # By names, as the count of a file's links may be of names that are covered. Of two layers
        # on one btrfs, overlayfs may give two files one number.
        same = (st.st_ino, st.st_size, st.st_mtime_ns, st.st_nlink)
        name = os.fsdecode(path)
        found["same_as"] = first.setdefault(same, name) if st.st_nlink > 1 else name
        found["contents"] = _contents(path, st.st_size)
    return found


def listing(root):
    """{path: what is there}. Nothing may be mounted below root."""
    before = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    first, found = {}, {}
    try:
        os.chdir(root)
        for top, names, files in os.walk(b"."):
            names.sort()
            for name in sorted([*names, *files]):
                path = os.path.join(top, name)
                found[os.fsdecode(path)] = _entry(path, first)
        found["."] = _entry(b".", first)
    finally:
        os.fchdir(before)
        os.close(before)
    return found


def differences(found, wanted):
    """A line for each of the first few."""
    lines = []
    for path in sorted(found.keys() | wanted.keys()):
        a, b = found.get(path), wanted.get(path)
        if not a or not b:
            lines.append(f"{path!r}: {'is missing' if b else 'is new'}: {a or b}")
        elif a != b:
            keys = [k for k in a.keys() | b.keys() if a.get(k) != b.get(k)]
            lines += [f"{path!r}: {k} is {a.get(k)}, not {b.get(k)}" for k in keys]
    return lines[:10]


def main():
    upper, lower, point = sys.argv[1:]
    os.makedirs(point, exist_ok=True)
    subprocess.run(["mount", "-t", "overlay", "-o", f"ro,lowerdir={upper}:{lower}", "overlay",
                    point], check=True)
    json.dump(listing(point), sys.stdout)


if __name__ == "__main__":
    main()
