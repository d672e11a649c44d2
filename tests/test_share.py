"""What is dealt out to the machines is all there is, each once, and fairly."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "vm"))

import share  # noqa: E402

NAMES = [*share.SECONDS, *(f"test_{i}.py" for i in range(20))]


def seconds(names):
    return sum(share.SECONDS.get(name, share.OTHERS) for name in names)


def test_each_is_somewhere_once():
    for n in (1, 2, 3):
        parts = [share.part_of(NAMES, f"{i}/{n}") for i in range(1, n + 1)]
        assert sorted(name for part in parts for name in part) == sorted(NAMES)
        assert all(part == sorted(part, key=NAMES.index) for part in parts)


def test_they_end_together():
    first, second = share.deal(NAMES, 2)
    assert abs(seconds(first) - seconds(second)) <= share.OTHERS


def test_without_parts_it_is_all():
    assert share.part_of(NAMES, "") == NAMES


def test_more_machines_than_tests():
    assert share.deal(["a"], 2) == [["a"], []]
