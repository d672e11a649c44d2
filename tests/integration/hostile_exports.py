"""Exports that no croft has written, for hostile_tars.py. An image's import passes over snapshots;
the fuzz target unpacks them."""

from export_file import export_file, frame, seal, zstd
from hostile_tars import OK, Case, directory, entry, symlink, tar

DAMAGED = "EXPORT_DAMAGED"
LINE = "{} 1700000000000000 0 made"
TREE = tar(directory("./"), entry("./file", b"x"))
OUT = tar(directory("./"), symlink("./out", "/../../../tmp"), entry("./out/croft-escape", b"x"))
TWO = [LINE.format("one"), LINE.format("two")]

CASES = [Case(name, expected, lambda data=data: data) for name, expected, data in (
    ("export_whole", OK, seal(frame(b"croft-export 1\n\0") + zstd(TREE))),
    ("export_snapshots", OK, export_file(TWO, [TREE] * 3)),
    ("export_snapshots_lead_out", OK, export_file(TWO, [TREE, OUT, OUT])),
    ("export_more_than_listed", OK, export_file(TWO, [TREE] * 5)),
    ("export_fewer_than_listed", OK, export_file(TWO, [TREE])),
    ("export_in_one_frame", OK, export_file(TWO, [TREE * 3])),
    ("export_nothing_listed", OK, export_file([], [TREE])),
    ("export_twice", DAMAGED, export_file(TWO + TWO, [TREE] * 5)),
    ("export_path", DAMAGED, export_file([LINE.format("../one")], [TREE] * 2)),
    ("export_129", DAMAGED, export_file([LINE.format(f"s{i}") for i in range(129)], [TREE])),
    ("export_long_list", DAMAGED, export_file(TWO, [TREE] * 3, 0xFFFFFFFF)),
    ("export_short_list", DAMAGED, export_file(TWO, [TREE] * 3, 5)),
    ("export_cut_list", DAMAGED, export_file(TWO, [TREE] * 3)[:50]),
    ("export_unsealed", DAMAGED, export_file(TWO, [TREE] * 3)[:-40]),
    ("export_headless", DAMAGED, seal(frame(b"croft-export 1\n\0") + zstd(TREE))[24:]),
    ("export_without_list", DAMAGED, seal(b"".join(map(zstd, [TREE] * 3)))),
    ("export_headless_and_longer", OK, seal(zstd(TREE)) + zstd(b"")),
    ("small_image_in_zstd", OK, zstd(TREE)),
)]
