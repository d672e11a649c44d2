"""croft import: a container of a file, all of whose files are its own. It lives like any other; a
file that is damaged, ends early or does not fit leaves nothing."""

import gzip
import json
import os
import re
import threading

import pytest

from carried import wait_booted
from croft_harness import wait_until
from export_kinds import MIB, describe, fill, left_in_pool, other, pool, stopped  # noqa: F401
from hostile_tars import entry, tar


def exported(box, path, *options):
    box.ok("export", "acme/web", str(path), *options, timeout=120)
    return path


def containers(box):
    return [c["name"] for c in box.json_lines("list")]


def nothing_left(box, tenant="acme"):
    """No container of that name, nothing in its tenant's part of the pool."""
    wait_until("nothing is left of the import", lambda: sorted(
        os.listdir(pool(box, "tenants", tenant))) == [], seconds=30)
    assert containers(box) == []


def test_moves_to_another_host(box, other, tmp_path):
    box.tenant()
    box.launch("acme/web")
    box.sh("acme/web", "rm /etc/passwd; echo root::0:0::/:/bin/sh >/etc/passwd; echo kept >/file;"
                       "chmod 0711 /; touch -d @86400 /file")
    stopped(box)
    upper = ("tenants", "acme", "web", "upper")
    names = fill(pool(box, *upper))
    wanted = {n: describe(pool(box, *upper, "kinds", n)) for n in names}
    file = exported(box, tmp_path / "web.tar.zst")

    other.tenant()
    imported = other.json("import", "acme/there", str(file), "--pids", "50", timeout=120)
    assert imported["state"] == "STOPPED" and not imported.get("image")
    assert int(imported["limits"]["pids"]) == 50
    assert other.json_lines("image", "list") == []
    top = pool(other, "tenants", "acme", "there", "upper")
    assert sorted(os.listdir(os.path.join(top, b"kinds"))) == names
    for name in names:
        assert describe(os.path.join(top, b"kinds", name)) == wanted[name], name
    assert os.lstat(top).st_mode & 0o7777 == 0o711
    assert os.lstat(os.path.join(top, b"kinds", b"sparse")).st_blocks * 512 < MIB

    other.ok("start", "acme/there")
    assert other.sh("acme/there", "cat /file /etc/passwd; stat -c %Y /file; echo more >>/file") == (
        "kept\nroot::0:0::/:/bin/sh\n86400\n")
    # Its init is stopped by the signal that it knows.
    other.ok("stop", "acme/there", "--timeout", "60")
    assert any(e["message"] == "acme/there ended: it shut down" for e in other.events())
    # A second time around, from the pool that copies to the one that does not.
    again = tmp_path / "again.tar.zst"
    other.ok("export", "acme/there", str(again), timeout=120)
    box.ok("import", "acme/back", str(again), timeout=120)
    back = pool(box, "tenants", "acme", "back", "upper")
    for name in names:
        assert describe(os.path.join(back, b"kinds", name)) == wanted[name], name
    box.ok("start", "acme/back")
    assert box.sh("acme/back", "cat /file") == "kept\nmore\n"


def test_holes_take_no_room(box, tmp_path):
    """A file may be larger than its container's disk limit: what counts is what is in it."""
    box.tenant()
    box.launch("acme/web")
    box.sh("acme/web", "echo begin >/holes; echo end | dd of=/holes bs=1M seek=65536 2>/dev/null;"
                       "truncate -s 100G /holes")
    file = exported(box, tmp_path / "holes.tar.zst")
    box.ok("import", "acme/back", str(file), "--disk", "64MiB", timeout=120)
    st = os.lstat(os.path.join(pool(box, "tenants", "acme", "back", "upper"), b"holes"))
    assert st.st_size == 100 << 30 and st.st_blocks * 512 < MIB
    box.ok("start", "acme/back")
    assert box.sh("acme/back", "head -n 1 /holes; dd if=/holes bs=1M skip=65536 count=1 "
                               "2>/dev/null | head -c 4") == "begin\nend\n"


@pytest.mark.vm
def test_lives_like_any_other(box, tmp_path):
    box.tenant()
    box.launch("acme/web")
    box.sh("acme/web", "echo first >/file")
    file = exported(box, tmp_path / "file")
    box.ok("import", "acme/own", str(file))
    before = json.loads(next(e["details_json"] for e in box.events()
                             if e["type"] == "container.imported"))
    assert before["init"] and before["entries"] > 10
    # croftd knows it after a restart, too.
    for which in ("croftd", "supervisor"):
        box.kill9(which)
        box.restart(which)
    box.ok("start", "acme/own")
    box.ok("snapshot", "create", "acme/own", "early")
    box.sh("acme/own", "echo second >/file; rm /bin/vi 2>/dev/null; :")
    box.ok("copy", "acme/own", "acme/copied")
    box.ok("snapshot", "publish", "acme/own", "early", "published")
    box.ok("stop", "--timeout", "0", "acme/own")
    box.ok("rename", "acme/own", "mine")
    # Onto an image, and back to what it was before.
    box.ok("rebuild", "acme/mine", "busybox")
    assert box.info("acme/mine")["image"] == "images/busybox"
    box.ok("start", "acme/mine")
    box.sh("acme/mine", "[ ! -e /file ]")
    box.ok("stop", "--timeout", "0", "acme/mine")
    box.ok("snapshot", "restore", "acme/mine", "early")
    assert not box.info("acme/mine").get("image")
    box.ok("start", "acme/mine")
    assert box.sh("acme/mine", "cat /file") == "first\n"
    box.ok("start", "acme/copied")
    assert box.sh("acme/copied", "cat /file") == "second\n"
    box.launch("acme/third", image="published")
    assert box.sh("acme/third", "cat /file") == "first\n"
    box.ok("export", "acme/mine", str(tmp_path / "again"), timeout=120)
    for name in ("acme/mine", "acme/copied", "acme/third", "acme/web"):
        stopped(box, name)
        box.ok("delete", name, "--force")
    assert os.listdir(pool(box, "tenants", "acme")) == []


def test_a_whole_distribution_moves(daemon, other, debian_image, tmp_path):
    """Debian 12 with systemd, exported while it runs, boots on a host without any image."""
    daemon.ok("image", "import", "debian12", debian_image, timeout=180)
    daemon.tenant(memory="1G", cpu="2", pids=500)
    daemon.launch("acme/web", image="debian12")
    wait_booted(daemon, "acme/web")
    daemon.sh("acme/web", "useradd -m moved; echo hello >/home/moved/file; rm /etc/motd;"
                          "chown moved: /home/moved/file; dpkg --verify >/dpkg.before; sync")
    file = exported(daemon, tmp_path / "web.tar.zst")
    assert daemon.info("acme/web")["state"] == "RUNNING"
    before = daemon.sh("acme/web", "cat /dpkg.before; getcap -r /usr/bin; stat -c '%a %U' "
                                   "/usr/bin/sudo /usr/bin/passwd /home/moved/file")
    stopped(daemon)

    other.tenant(memory="1G", cpu="2", pids=500)
    other.ok("import", "acme/there", str(file), timeout=300)
    other.ok("start", "acme/there")
    wait_booted(other, "acme/there")
    assert other.sh("acme/there", "dpkg --verify >/dpkg.after; cat /dpkg.after; getcap -r /usr/bin;"
                                  "stat -c '%a %U' /usr/bin/sudo /usr/bin/passwd /home/moved/file",
                    timeout=120) == before
    assert other.sh("acme/there", "su moved -c 'cat /home/moved/file'; [ ! -e /etc/motd ]") == (
        "hello\n")
    other.ok("stop", "acme/there", "--timeout", "60", timeout=120)


def test_a_tenant_does_it_itself(box, tmp_path):
    box.tenant()
    box.ok("tenant", "bind", "acme", "12345")
    box.launch("acme/web")
    data = exported(box, tmp_path / "file").read_bytes()
    box.ok("import", "acme/own", "-", stdin=data, uid=12345)
    box.ok("start", "acme/own", uid=12345)
    box.tenant("other")
    box.refused("import", "other/own", "-", stdin=data, uid=12345, match="no tenant")
    box.refused("import", "acme/own", "-", stdin=data, match="already")


def test_what_is_damaged_leaves_nothing(box, tmp_path):
    box.tenant()
    box.launch("acme/web")
    box.sh("acme/web", "head -c 300000 /dev/urandom >/noise; sync")
    data = exported(box, tmp_path / "whole").read_bytes()
    stopped(box)
    box.ok("delete", "acme/web")

    def refused(damaged, match=None):
        result = box.croft("import", "acme/web", "-", stdin=damaged, timeout=60)
        assert result.rc == 1, result
        nothing_left(box)
        return result

    step = len(data) // 12
    for at in [0, 4, 8, 16, 23, *range(24, len(data), step), len(data) - 40, len(data) - 1]:
        refused(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1:])
    for size in (0, 24, 64, len(data) // 2, len(data) - 40, len(data) - 1):
        result = refused(data[:size])
        assert re.search("damaged|cut short", result.err) and "again" in result.err, result
        assert size < 24 or not re.search("libarchive|[Zz]std|[Tt]runcated", result.err), result
    # Its beginning, which says that it has a checksum, is lost.
    assert "does not begin as one" in refused(data[24:]).err
    refused(data + b"\0")
    refused(data[:5000] + data[6000:])
    box.ok("import", "acme/web", "-", stdin=data)
    box.ok("start", "acme/web")


def test_what_does_not_fit_leaves_nothing(box, tmp_path):
    box.tenant()
    box.launch("acme/web")
    box.sh("acme/web", "head -c 40000000 /dev/urandom >/noise; sync")
    data = exported(box, tmp_path / "whole").read_bytes()
    stopped(box)
    box.ok("delete", "acme/web")
    box.refused("import", "acme/web", "-", "--disk", "30MiB", stdin=data, timeout=60,
                match="unpacks to")
    nothing_left(box)
    # Of what compresses well, it is what it unpacks to that counts.
    box.refused("import", "acme/web", "-", "--disk", "30MiB", timeout=60,
                stdin=gzip.compress(tar(entry("big", bytes(64 * MIB)))), match="unpacks to")
    nothing_left(box)
    box.ok("import", "acme/web", "-", "--disk", "80MiB", stdin=data, timeout=60)


def test_refusals(box, tmp_path):
    box.tenant(containers=1)
    box.refused("import", "acme/web", "-", stdin=b"no archive" * 100)
    nothing_left(box)
    box.refused("import", "acme/web", str(tmp_path / "none"), match="No such file")
    assert box.croft("import", "acme", str(tmp_path)).rc == 2
    box.launch("acme/web")
    file = exported(box, tmp_path / "file")
    box.refused("import", "acme/second", str(file), match="may have 1")


def test_a_client_that_leaves(box, tmp_path):
    box.tenant()
    box.launch("acme/web")
    box.sh("acme/web", "head -c 30000000 /dev/urandom >/noise; sync")
    data = exported(box, tmp_path / "whole").read_bytes()
    stopped(box)
    box.ok("delete", "acme/web")
    reader, writer = os.pipe()
    with box.background("import", "acme/web", "-", stdin=reader):
        os.close(reader)
        os.write(writer, data[:65536])
        wait_until("it is being unpacked", lambda: left_in_pool(box, "acme"), seconds=30)
        box.refused("import", "acme/second", "-", stdin=data, match="under way")
    os.close(writer)
    nothing_left(box)
    # Nobody waits for its end, so that its name may be taken a moment longer.
    wait_until("its name is free", lambda: box.croft(
        "import", "acme/web", "-", stdin=data, timeout=60).rc == 0, seconds=30)


def test_a_client_that_sends_nothing_has_an_end(bare_daemon, tmp_path):
    """Its connection lives, and it has its tenant's place among the host's; not for ever."""
    box = bare_daemon
    box.start("--transfer-timeout", "5")
    box.busybox()
    box.tenant()
    box.launch("acme/web")
    box.sh("acme/web", "head -c 3000000 /dev/urandom >/noise; sync")
    data = exported(box, tmp_path / "whole").read_bytes()
    stopped(box)
    box.ok("delete", "acme/web")
    reader, writer = os.pipe()
    with box.background("import", "acme/web", "-", stdin=reader) as silent:
        os.close(reader)
        os.write(writer, data[:65536])
        wait_until("it is being unpacked", lambda: left_in_pool(box, "acme"), seconds=30)
        box.refused("import", "acme/second", "-", stdin=data, match="under way")
        # Only croftd can have ended it: the client waits for more of its file.
        wait_until("there is room again", lambda: box.croft(
            "import", "acme/second", "-", stdin=data, timeout=60).rc == 0, seconds=60)
        os.close(writer)
        assert silent.wait(timeout=60) == 1
        assert b"without pauses" in silent.stderr.read()
    assert containers(box) == ["tenants/acme/containers/second"]


@pytest.mark.parametrize("who", [("croftd",), ("supervisor",), ("croftd", "supervisor")],
                         ids="+".join)
def test_killed_in_the_middle(box, who, tmp_path):
    box.tenant()
    box.launch("acme/web")
    box.sh("acme/web", "mkdir /d; i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo $i >/d/$i; done;"
                       "head -c 20000000 /dev/urandom >/d/big")
    file = str(exported(box, tmp_path / "file"))
    stopped(box)
    box.ok("delete", "acme/web")
    for round_ in range(4):
        result = box.killed_during(who, 0.02 + 0.06 * round_, lambda: box.croft(
            "import", "acme/web", file, timeout=120))
        if result.rc == 0:
            box.ok("delete", "acme/web")
        # A reply that was lost does not make a container that is there unwhole.
        wait_until("it is settled", lambda: box.croft(
            "delete", "acme/web").rc == 0 or containers(box) == [], seconds=30)
        nothing_left(box)
    wait_until("its name is free", lambda: box.croft(
        "import", "acme/web", file, timeout=60).rc == 0, seconds=30)
    box.ok("start", "acme/web")


def test_the_host_waits_for_what_is_about_to_end(fresh_box, tmp_path):
    """`host shutdown` while the supervisor has something in hand, which ends meanwhile."""
    box = fresh_box
    box.tenant()
    box.launch("acme/web")
    data = exported(box, tmp_path / "whole").read_bytes()
    stopped(box)
    reader, writer = os.pipe()
    with box.background("import", "acme/second", "-", stdin=reader):
        os.close(reader)
        os.write(writer, data[:65536])
        wait_until("it is being unpacked", lambda: left_in_pool(box, "acme"), seconds=30)
        worker = threading.Thread(target=box.shutdown)
        worker.start()
        wait_until("the host is left", lambda: "host-shutdown" in box.read_log(), seconds=30)
        os.close(writer)
        worker.join()
    assert "host-shutdown-incomplete" not in box.read_log()
    assert box.pids == {}
