"""What a container is given for cloud-init: where it finds it, for how long, and who else sees it.
busybox has no cloud-init, so nothing is acted on; Debian's own is in tests/distributions."""

import base64
import os
import re

import pytest

from croft_harness import check_sentence

SEED = "/var/lib/cloud/seed/nocloud"
SECRET = b"#!/bin/sh\n# hunter2-\x00-\xff\n"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me@here"


def read(box, name, part):
    return box.sh(name, f"cat {SEED}/{part}")


def instance(box, name):
    return re.search(r"^instance-id: (\w+)$", read(box, name, "meta-data"), re.M).group(1)


def again(box, name="acme/web"):
    box.ok("kill", name)
    box.wait_state(name, "STOPPED")
    box.ok("start", name)


@pytest.fixture
def files(tmp_path):
    """Options for each part, from files."""
    parts = {"user-data": SECRET, "meta-data": b"zone: b\n", "network-config": b"version: 1\n",
             "ssh-key": f"# mine\n\n{KEY}\n".encode()}
    options = []
    for part, data in parts.items():
        (tmp_path / part).write_bytes(data)
        options += [f"--{part}", str(tmp_path / part)]
    return options


@pytest.mark.vm
def test_the_whole_story(box, files):
    box.tenant()
    box.launch("acme/web", options=files)
    info = box.info("acme/web")["cloud_init_info"]
    assert info == {"instance_id": info["instance_id"], "user_data_bytes": len(SECRET),
                    "meta_data_bytes": 8, "network_config_bytes": 11, "ssh_key_count": 1}
    # Files of its own root's and nobody else's, which nothing inside changes or takes away.
    encoded = box.sh("acme/web", f"base64 {SEED}/user-data")
    assert base64.b64decode(encoded) == SECRET
    assert read(box, "acme/web", "network-config") == "version: 1\n"
    assert read(box, "acme/web", "meta-data") == (
        f"instance-id: {info['instance_id']}\nlocal-hostname: web\npublic-keys:\n  - \"{KEY}\"\n"
        "zone: b\n\n")
    assert box.sh("acme/web", f"stat -c '%u %g %a' {SEED} {SEED}/*").splitlines() == [
        "0 0 700", *["0 0 400"] * 3]
    for attempt in (f"echo x >{SEED}/user-data", f"rm {SEED}/user-data", f"umount {SEED}",
                    f"mount -o remount,rw {SEED}"):
        assert box.exec("acme/web", "/bin/sh", "-c", attempt).rc != 0, attempt
    denied = box.exec("acme/web", "/bin/sh", "-c", f"cat {SEED}/user-data",
                      options=["-u", "1000"])
    assert denied.rc != 0 and "hunter2" not in denied.out

    # The same instance at the next boot, also when croftd was killed in between.
    box.kill9("croftd")
    box.restart("croftd")
    again(box)
    assert instance(box, "acme/web") == info["instance_id"]
    assert base64.b64decode(box.sh("acme/web", f"base64 {SEED}/user-data")) == SECRET


def test_what_makes_another_instance(fresh_box, files, tmp_path):
    box = fresh_box
    box.tenant()
    box.launch("acme/web", options=files)
    first = instance(box, "acme/web")
    # What changes other things does not.
    box.ok("set", "acme/web", "--pids", "60")
    again(box)
    assert instance(box, "acme/web") == first
    # A part that is changed does, from the next start on; the others stay.
    (tmp_path / "other").write_bytes(b"#cloud-config\n")
    box.ok("set", "acme/web", "--user-data", str(tmp_path / "other"))
    assert instance(box, "acme/web") == first
    again(box)
    second = instance(box, "acme/web")
    assert second != first and KEY in read(box, "acme/web", "meta-data")
    assert read(box, "acme/web", "user-data") == "#cloud-config\n"
    message = next(e["message"] for e in box.events() if e["type"] == "container.updated"
                   and "cloud_init" in e["message"])
    assert message == f"acme/web was changed: cloud_init {first} to {second}"

    # So is a copy one, with the same data; a snapshot's, too.
    box.ok("snapshot", "create", "acme/web", "then")
    for name, how in (("twin", ()), ("older", ("--snapshot", "then"))):
        box.ok("copy", "acme/web", f"acme/{name}", *how)
        box.ok("start", f"acme/{name}")
        assert instance(box, f"acme/{name}") not in (first, second)
        assert f"local-hostname: {name}\n" in read(box, f"acme/{name}", "meta-data")
        assert read(box, f"acme/{name}", "user-data") == "#cloud-config\n"
    # A renamed one is the same, one that begins anew is not.
    box.ok("kill", "acme/web")
    box.wait_state("acme/web", "STOPPED")
    box.ok("rename", "acme/web", "site")
    box.ok("start", "acme/site")
    assert instance(box, "acme/site") == second
    assert "local-hostname: site\n" in read(box, "acme/site", "meta-data")
    box.ok("kill", "acme/site")
    box.wait_state("acme/site", "STOPPED")
    box.ok("rebuild", "acme/site", "busybox")
    rebuilt = box.info("acme/site")["cloud_init_info"]["instance_id"]
    box.kill9("croftd")
    box.restart("croftd")
    box.ok("start", "acme/site")
    assert instance(box, "acme/site") == rebuilt != second
    # And none without data.
    box.ok("set", "acme/site", "--no-cloud-init")
    assert "cloud_init_info" not in box.info("acme/site")
    again(box, "acme/site")
    assert box.sh("acme/site", f"ls {SEED}") == ""


def test_its_name_and_id_alone(box):
    box.tenant()
    box.launch("acme/web", options=("--cloud-init",))
    assert box.info("acme/web")["cloud_init_info"].keys() == {"instance_id"}
    assert read(box, "acme/web", "user-data") == "#cloud-config\n{}\n"
    assert read(box, "acme/web", "network-config") == "config: disabled\n"
    box.launch("acme/none")
    assert box.exec("acme/none", "/bin/ls", "/var/lib/cloud").rc != 0
    box.refused("cloud-init", "acme/none", "user-data", match="nothing for cloud-init")


def test_shown_where_it_is_asked_for(box, files):
    box.tenant()
    box.launch("acme/web", options=files)
    shown = box.json("cloud-init", "acme/web")
    assert base64.b64decode(shown["user_data"]) == SECRET and shown["ssh_keys"] == [KEY]
    assert box.ok("cloud-init", "acme/web", "ssh-keys") == KEY + "\n"
    assert box.ok("cloud-init", "acme/web", "meta-data") == "zone: b\n"
    sizes = f"user data {len(SECRET)} bytes, meta data 8 bytes, network config 11 bytes, 1 key"
    assert sizes in box.ok("info", "acme/web")
    for words in ((), ("secrets",)):
        result = box.croft("cloud-init", "acme/web", *words)
        assert result.rc == 2 and "-o json prints all" in result.err
    assert "with -o json and no part, all of it" in " ".join(box.ok("cloud-init", "--help").split())


def test_refused(fresh_box, tmp_path):
    box = fresh_box
    box.tenant(containers=20)
    big, key, nul = (tmp_path / n for n in ("big", "key", "nul"))
    big.write_bytes(b"x" * 65537)
    refused = box.refused("launch", "busybox", "acme/web", "--user-data", str(big))
    assert "65536" in refused
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n")
    result = box.croft("launch", "busybox", "acme/web", "--ssh-key", str(key))
    assert result.rc == 2 and "public key" in result.err and "hunter2" not in result.err
    nul.write_bytes(b"a\0b")
    box.refused("launch", "busybox", "acme/web", "--meta-data", str(nul), match="NUL")
    box.refused("launch", "busybox", "acme/web", "--user-data", str(tmp_path / "absent"))
    # Two parts that are too much together: the server's to say.
    big.write_bytes(b"x" * 65536)
    box.refused("launch", "busybox", "acme/web", "--user-data", str(big), "--network-config",
                str(nul), match="65536 in all")
    assert box.json_lines("list", "acme") == []
    # And a tenant's, all together: 16 of the largest.
    for i in range(16):
        box.ok("create", "busybox", f"acme/c{i}", "--user-data", str(big))
    refused = box.refused("create", "busybox", "acme/more", "--user-data", str(nul))
    check_sentence(refused, box.base)
    assert "1048576 together" in refused
    box.ok("create", "busybox", "acme/more")
    box.refused("copy", "acme/c1", "acme/another", match="together")
    box.refused("set", "acme/more", "--user-data", str(nul), match="together")
    box.ok("set", "acme/c1", "--no-cloud-init")
    box.ok("set", "acme/more", "--user-data", str(nul))
    assert box.croft("set", "acme/more", "--user-data", str(nul), "--no-cloud-init").rc == 2


def test_not_on_its_disk(fresh_box, files):
    """So that neither an image that is made of it nor an export hands it on."""
    box = fresh_box
    box.tenant()
    box.launch("acme/web", options=files)
    box.sh("acme/web", "echo control >/var/lib/cloud/control")
    box.ok("snapshot", "create", "acme/web", "then")
    root = f"/proc/{box.pid('supervisor')}/root{box.state}/pool/tenants/acme"
    found = {os.path.relpath(os.path.join(folder, name), root)
             for folder, _, names in os.walk(root) for name in names}
    assert any(f.endswith("cloud/control") for f in found), found
    assert not [f for f in found if "nocloud/" in f], found
    box.ok("snapshot", "publish", "acme/web", "then", "mine")
    box.launch("acme/new", image="mine")
    assert box.sh("acme/new", "cat /var/lib/cloud/control") == "control\n"
    assert box.sh("acme/new", f"ls {SEED}") == ""
