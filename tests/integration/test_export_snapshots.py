"""croft export --snapshots: a container's past goes with it, to another host with another pool; a
file whose past is damaged, forged or does not fit leaves nothing."""

import datetime
import json
import os

import pytest

from croft_harness import wait_until
from export_file import export_file
from export_kinds import MIB, describe, fill, left_in_pool, other, pool, stopped  # noqa: F401
from hostile_tars import entry, tar

SECOND = 1_000_000


def snapshots(box, name="acme/web"):
    return {s["name"].rpartition("/")[2]: s for s in box.json_lines("snapshot", "list", name)}


def nothing_left(box, tenant="acme"):
    wait_until("nothing is left of the import", lambda: sorted(
        os.listdir(pool(box, "tenants", tenant))) == [], seconds=30)
    assert box.json_lines("list") == []


def restored(box, name, snapshot, command):
    """What a command says in the container as it was."""
    stopped(box, name)
    box.ok("snapshot", "restore", name, snapshot, timeout=60)
    box.ok("start", name)
    return box.sh(name, command)


def with_past(box, name="acme/web"):
    """A container with two snapshots, each with something that no other has."""
    box.launch(name)
    box.sh(name, "echo first >/file; rm /etc/passwd; mkdir /gone; echo a >/gone/a")
    box.ok("snapshot", "create", name, "one")
    box.sh(name, "echo second >/file; rm -r /gone; ln /file /other")
    box.ok("snapshot", "create", name, "two", "--expire", "1h")
    box.sh(name, "echo third >/file; sync")


def check_past(box, name="acme/web"):
    assert box.sh(name, "cat /file") == "third\n"
    assert restored(box, name, "two", "cat /file /other; [ ! -e /gone ]") == "second\nsecond\n"
    assert restored(box, name, "one", "cat /file /gone/*; [ ! -e /other -a ! -e /etc/passwd ]"
                    ) == "first\na\n"


def test_the_past_moves_to_another_host(box, other, tmp_path):
    box.tenant()
    with_past(box)
    names = fill(pool(box, "tenants", "acme", "web", "upper"))
    wanted = {n: describe(pool(box, "tenants", "acme", "web", "upper", "kinds", n)) for n in names}
    box.ok("snapshot", "create", "acme/web", "kinds")
    file = str(tmp_path / "web.tar.zst")
    before = snapshots(box)
    box.ok("export", "acme/web", file, "--snapshots", timeout=120)
    exported = [e for e in box.events() if e["type"] == "container.exported"]
    assert json.loads(exported[0]["details_json"])["snapshots"] == 3
    assert left_in_pool(box) == []

    other.tenant()
    other.ok("import", "acme/there", file, timeout=120)
    after = snapshots(other, "acme/there")
    assert sorted(after) == ["kinds", "one", "two"]
    for name in after:
        assert after[name]["create_time"] == before[name]["create_time"]
    assert "expire_time" in after["two"] and "expire_time" not in after["one"]
    top = pool(other, "tenants", "acme", "there.snapshots", "kinds", "upper", "kinds")
    for name in names:
        assert describe(os.path.join(top, name)) == wanted[name], name
    assert os.lstat(os.path.join(top, b"sparse")).st_blocks * 512 < MIB
    other.ok("start", "acme/there")
    check_past(other, "acme/there")
    other.ok("snapshot", "publish", "acme/there", "two", "published", timeout=60)
    other.launch("acme/third", image="published")
    assert other.sh("acme/third", "cat /file") == "second\n"
    # And back, onto the pool that does not copy; also without.
    again = str(tmp_path / "again")
    other.ok("export", "acme/there", again, "--snapshots", timeout=120)
    box.ok("import", "acme/back", again, timeout=120)
    assert sorted(snapshots(box, "acme/back")) == ["kinds", "one", "two"]
    box.ok("import", "acme/bare", again, "--no-snapshots", timeout=120)
    assert snapshots(box, "acme/bare") == {}
    box.ok("image", "import", "moved", again, timeout=120)
    box.launch("acme/image", image="moved")
    assert box.sh("acme/image", "cat /file") == "first\n"
    for name in ("acme/web", "acme/image"):
        stopped(box, name)
    for name in ("web", "back", "bare", "image"):
        box.ok("delete", f"acme/{name}", "--force")
    assert os.listdir(pool(box, "tenants", "acme")) == []


def test_each_stands_on_its_own_image(box, tmp_path):
    """The container was rebuilt since, so that what is under a snapshot is not what is under it."""
    box.tenant()
    box.launch("acme/web")
    box.sh("acme/web", "echo old >/base; rm /etc/passwd; sync")
    box.ok("snapshot", "create", "acme/web", "base")
    box.ok("snapshot", "publish", "acme/web", "base", "second", timeout=60)
    stopped(box)
    box.ok("rebuild", "acme/web", "second")
    box.ok("start", "acme/web")
    box.sh("acme/web", "[ -e /base -a ! -e /etc/passwd ]; rm /base; echo new >/file; sync")
    box.ok("snapshot", "create", "acme/web", "later")
    file = str(tmp_path / "file")
    box.ok("export", "acme/web", file, "--snapshots", timeout=120)
    box.ok("import", "acme/own", file, timeout=120)
    stopped(box)
    box.ok("delete", "acme/web", "--force")
    box.ok("image", "delete", "second")
    box.ok("start", "acme/own")
    assert box.sh("acme/own", "cat /file; [ ! -e /base ]") == "new\n"
    assert restored(box, "acme/own", "base", "cat /base; [ ! -e /file ]") == "old\n"
    assert restored(box, "acme/own", "later", "cat /file; [ ! -e /base ]") == "new\n"


def moment(text):
    return datetime.datetime.fromisoformat(text[:19])


def test_time_left_is_kept(box):
    """A file may lie: what had an hour when it was written has one when it is read."""
    box.tenant()
    old = export_file(["aged 1000000000000000 3600 scheduled", "young 33000000000000000 0 made"],
                      [tar(ROOT, INIT)] * 3)
    box.ok("import", "acme/old", "-", stdin=old, timeout=60)
    made = snapshots(box, "acme/old")
    assert made["aged"]["create_time"].startswith("2001-09-09T01:46:40")
    # Of a clock that was ahead of this one.
    assert made["young"]["create_time"] < "3000"
    left = moment(made["aged"]["expire_time"]) - moment(box.info("acme/old")["create_time"])
    assert 3590 <= left.total_seconds() < 4800
    assert made["aged"].get("automatic") and not made["young"].get("automatic")


@pytest.mark.vm
def test_it_lives_like_any_other(box, tmp_path):
    box.tenant()
    with_past(box)
    file = str(tmp_path / "file")
    box.ok("export", "acme/web", file, "--snapshots", timeout=120)
    stopped(box)
    box.ok("delete", "acme/web", "--force")
    box.ok("import", "acme/web", file, timeout=120)
    for which in ("croftd", "supervisor"):
        box.kill9(which)
        box.restart(which)
    assert sorted(snapshots(box)) == ["one", "two"]
    box.ok("start", "acme/web")
    check_past(box)
    box.ok("snapshot", "create", "acme/web", "three")
    for name in ("one", "two", "three"):
        box.ok("snapshot", "delete", "acme/web", name)
    assert snapshots(box) == {}


def test_what_is_deleted_meanwhile_ends_it(box, tmp_path):
    """A snapshot is not held while an export waits: rather no file than one with another past."""
    box.tenant()
    box.launch("acme/web")
    box.sh("acme/web", "head -c 40000000 /dev/urandom >/big")
    box.ok("snapshot", "create", "acme/web", "one")
    for again in (False, True):
        with box.background("export", "acme/web", "-", "--snapshots") as slow:
            assert slow.stdout.read(4) == b"\x5e\x2a\x4d\x18"
            box.ok("snapshot", "delete", "acme/web", "one")
            if again:
                box.ok("snapshot", "create", "acme/web", "one")
            rest, errors = slow.communicate(timeout=120)
            assert slow.returncode == 1, errors
        if not again:
            box.ok("snapshot", "create", "acme/web", "one")
    wait_until("nothing of it is left", lambda: left_in_pool(box) == [])
    # Nor can another container's take their place.
    stopped(box)
    with box.background("export", "acme/web", "-", "--snapshots") as slow:
        assert slow.stdout.read(4) == b"\x5e\x2a\x4d\x18"
        box.ok("rename", "acme/web", "old")
        box.launch("acme/web")
        box.ok("snapshot", "create", "acme/web", "one")
        slow.communicate(timeout=120)
        assert slow.returncode == 1
    wait_until("nothing of it is left", lambda: left_in_pool(box) == [])
    file = str(tmp_path / "whole")
    box.ok("export", "acme/old", file, "--snapshots", timeout=120)


def test_what_is_damaged_leaves_nothing(box, tmp_path):
    box.tenant()
    with_past(box)
    file = tmp_path / "whole"
    box.ok("export", "acme/web", str(file), "--snapshots", timeout=120)
    data = file.read_bytes()
    stopped(box)
    box.ok("delete", "acme/web", "--force")

    def refused(damaged):
        result = box.croft("import", "acme/web", "-", stdin=damaged, timeout=60)
        assert result.rc == 1, result
        nothing_left(box)

    step = len(data) // 12
    for at in [22, 24, 29, 33, 50, *range(100, len(data), step), len(data) - 1]:
        refused(data[:at] + bytes([data[at] ^ 1]) + data[at + 1:])
    for size in (24, 32, 40, len(data) // 3, 2 * len(data) // 3, len(data) - 41, len(data) - 1):
        refused(data[:size])
    refused(data + data)
    box.ok("import", "acme/web", "-", stdin=data, timeout=60)


ROOT = entry("./", type=b"5", mode=0o755)
INIT = entry("./sbin/init", b"#!/bin/sh\n", mode=0o755)
LINE = "{} 1700000000000000 0 made"
HOSTILE = {
    "more-than-listed": ([LINE.format("one")], 3),
    "fewer-than-listed": ([LINE.format("one"), LINE.format("two")], 2),
    "listed-only": ([LINE.format("one")], 1),
    "twice": ([LINE.format("one")] * 2, 3),
    "no-name": ([LINE.format("../../x")], 2),
    "a-path": ([LINE.format("a/b")], 2),
    "empty-name": ([LINE.format("")], 2),
    "a-companion": ([LINE.format("web.new")], 2),
    "long-name": ([LINE.format("a" * 40)], 2),
    "line-without-end": (["a" * 5000], 2),
    "no-time": (["one made"], 2),
    "negative": (["one -1 0 made"], 2),
    "before-time": (["one 0 0 made"], 2),
    "past-time": (["one 99999999999999999 0 made"], 2),
    "long-life": (["one 1700000000000000 99999999999 made"], 2),
    "word": (["one 1700000000000000 0 other"], 2),
    "129": ([LINE.format(f"s{i}") for i in range(129)], 130),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_lists(box, case):
    lines, trees = HOSTILE[case]
    box.tenant()
    data = export_file(lines, [tar(ROOT, INIT)] * trees)
    result = box.croft("import", "acme/web", "-", stdin=data, timeout=60)
    assert result.rc == 1, result
    nothing_left(box)
    # The same, whole.
    fine = [LINE.format(f"s{i}") for i in range(3)]
    box.ok("import", "acme/web", "-", stdin=export_file(fine, [tar(ROOT, INIT)] * 4), timeout=60)
    assert sorted(snapshots(box)) == ["s0", "s1", "s2"]


def test_hostile_trees(box, tmp_path):
    """A snapshot's tree is as untrusted as a container's, and reaches nothing but itself."""
    box.tenant()
    out = entry("./out", type=b"2", linkname="/../../../../../..")
    through = entry("./out/planted", b"x")
    data = export_file([LINE.format("one"), LINE.format("two")],
                       [tar(ROOT, INIT), tar(ROOT, out, through), tar(ROOT, INIT)])
    box.ok("import", "acme/web", "-", stdin=data, timeout=60)
    top = pool(box, "tenants", "acme", "web.snapshots")
    assert sorted(os.listdir(os.path.join(top, b"one", b"upper"))) == [b"out", b"planted"]
    assert sorted(os.listdir(os.path.join(top, b"two", b"upper"))) == [b"sbin"]
    box.ok("delete", "acme/web", "--force")
    for bad in (entry("./../planted", b"x"), entry("/../../planted", b"x")):
        data = export_file([LINE.format("one")], [tar(ROOT, INIT), tar(ROOT, bad)])
        assert box.croft("import", "acme/web", "-", stdin=data, timeout=60).rc == 1
        nothing_left(box)


def test_what_does_not_fit_leaves_nothing(box):
    """The container under its own limit, all of it under its tenant's."""
    box.tenant(disk="100M")
    big = tar(ROOT, INIT, entry("./big", os.urandom(30 * MIB)))
    lines = [LINE.format(f"s{i}") for i in range(4)]
    box.refused("import", "acme/web", "-", stdin=export_file(lines, [big] * 5), timeout=120)
    nothing_left(box)
    # What compresses well counts as what it unpacks to.
    bomb = tar(ROOT, INIT, entry("./big", bytes(64 * MIB)))
    box.refused("import", "acme/web", "-", stdin=export_file(lines, [bomb] * 5), timeout=120,
                match="unpacks to")
    nothing_left(box)
    box.refused("import", "acme/web", "-", "--disk", "20M", timeout=120,
                stdin=export_file(lines[:1], [big] * 2), match="unpacks to")
    nothing_left(box)
    box.ok("import", "acme/web", "-", "--disk", "40M", timeout=120,
           stdin=export_file(lines[:1], [big] * 2))


@pytest.mark.parametrize("who", [("croftd",), ("supervisor",), ("croftd", "supervisor")],
                         ids="+".join)
def test_killed_in_the_middle(box, who, tmp_path):
    box.tenant()
    box.launch("acme/web")
    box.sh("acme/web", "head -c 8000000 /dev/urandom >/big")
    for name in ("one", "two"):
        box.ok("snapshot", "create", "acme/web", name)
    whole = str(tmp_path / "whole")
    box.ok("export", "acme/web", whole, "--snapshots", timeout=120)
    stopped(box)

    def killed(after, *command):
        return box.killed_during(who, after, lambda: box.croft(*command, timeout=120)).rc == 0

    for round_ in range(3):
        file = tmp_path / f"file{round_}"
        done = killed(0.05 + 0.1 * round_, "export", "acme/web", str(file), "--snapshots")
        assert file.exists() == done
    wait_until("nothing of it is left", lambda: left_in_pool(box) == [])
    assert sorted(snapshots(box)) == ["one", "two"]
    box.ok("delete", "acme/web", "--force")
    for round_ in range(3):
        killed(0.05 + 0.1 * round_, "import", "acme/web", whole)
        wait_until("it is settled", lambda: box.croft(
            "delete", "acme/web", "--force").rc == 0 or box.json_lines("list") == [], seconds=30)
        nothing_left(box)
    wait_until("its name is free", lambda: box.croft(
        "import", "acme/web", whole, timeout=60).rc == 0, seconds=30)
    assert sorted(snapshots(box)) == ["one", "two"]
    box.ok("snapshot", "restore", "acme/web", "two")
    box.ok("start", "acme/web")
