"""Files as docs/EXPORT-FORMAT.md has them, made by hand: also such as no croft would write."""

import hashlib
import struct
import subprocess

MAGIC = b"\x5e\x2a\x4d\x18"


def frame(payload, size=None):
    return MAGIC + struct.pack("<I", len(payload) if size is None else size) + payload


def zstd(data):
    return subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout


def seal(data):
    """With its checksum."""
    return data + frame(hashlib.sha256(data).digest())


def export_file(lines, tars, list_size=None):
    """lines: of the list of snapshots; tars: the container's, and then theirs."""
    text = "".join(f"{line}\n" for line in lines).encode()
    return seal(frame(b"croft-export 2\n\0") + frame(text, list_size) + b"".join(map(zstd, tars)))
