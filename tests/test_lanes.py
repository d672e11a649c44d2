"""Whatever there is runs in one lane, once; who is said to wait is there."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import lanes  # noqa: E402


def test_every_module_has_its_lane():
    paths = lanes.modules()
    busy, waiting, alone = lanes.lanes(paths)
    assert sorted(busy + waiting + alone) == sorted(paths)
    assert {os.path.basename(path) for path in waiting} == lanes.WAITING
    assert {os.path.basename(path) for path in alone} == lanes.ALONE
    assert len(busy) > len(waiting) > 0


def test_names_are_told_apart():
    """A lane is a list of names, and pytest takes no two modules of one."""
    names = [os.path.basename(path) for path in lanes.modules()]
    assert len(names) == len(set(names)) > 100
