"""Data for cloud-init against who is to have none of it: the secrets in them, links that a tenant
plants where they go, and lines that are smuggled into what Croft writes."""

import glob

import grpc
import pytest

from croft_harness import check_sentence, run_program
from test_images import host_state

SEED = "/var/lib/cloud/seed/nocloud"
SECRET = "hunter2-the-secret-of-acme"
ACME, OTHER = 4001, 4002
# What is on the way, and where it would lead whoever follows it.
PLANTS = {
    "a link": ("rm -r /var/lib/cloud; ln -s /etc /var/lib/cloud; mkdir -p /etc/seed/nocloud",
               "/etc/seed/nocloud"),
    "a link at the end": (f"rmdir {SEED}; ln -s /tmp {SEED}", "/tmp"),
    "a link upwards": (f"rmdir {SEED}; ln -s ../../../../../../../tmp {SEED}", "/tmp"),
    "a file": (f"rmdir {SEED}; : >{SEED}", None),
    "a fifo": (f"rmdir {SEED}; mkfifo {SEED}", None),
}


def launch(box, tmp_path, name="acme/web"):
    (tmp_path / "user-data").write_text(f"#cloud-config\npassword: {SECRET}\n")
    box.launch(name, options=("--user-data", str(tmp_path / "user-data")))


def stop(box, name="acme/web"):
    box.ok("kill", name)
    box.wait_state(name, "STOPPED")


def test_secrets_are_shown_to_nobody_else(fresh_box, tmp_path):
    box = fresh_box
    for tenant, uid in (("acme", ACME), ("other", OTHER)):
        box.tenant(tenant)
        box.ok("tenant", "bind", tenant, str(uid))
    launch(box, tmp_path)
    box.launch("other/web")
    # Its own may see them, a start and a change that fail are told of, and a stranger asks.
    assert SECRET in box.croft("cloud-init", "acme/web", "user-data", uid=ACME).out
    box.ok("set", "acme/web", "--user-data", str(tmp_path / "user-data"))
    box.croft("launch", "busybox", "acme/web", "--user-data", str(tmp_path / "user-data"))
    box.croft("launch", "busybox", "acme/none", "--user-data", str(tmp_path / "user-data"), "--",
              "/absent")
    refused = box.croft("cloud-init", "acme/web", "user-data", uid=OTHER)
    assert refused.rc == 1 and SECRET not in refused.out + refused.err
    said = [box.croft(*words, "-o", "json", uid=uid).out
            for words in (("info", "acme/web"), ("list",), ("events",), ("usage", "export"))
            for uid in (None, ACME)]
    assert any("acme/containers/web" in text for text in said)
    assert not [text for text in said if SECRET in text]
    assert SECRET not in box.read_log()
    # On the host they are in the database alone (the control), which is croftd's own.
    # Of the pool's 4 GiB grep reads what is no hole.
    found = run_program(["/bin/grep", "-rlF", "-e", SECRET, box.state], timeout=120)
    where = set(found.out.splitlines())
    assert where and where <= set(glob.glob(f"{box.state}/server/croft.db*")), where
    for path in where:
        assert run_program(["/bin/cat", path], uid=OTHER).rc != 0
    # Not in what any process of the host or a neighbour was started with.
    for tenant in ("acme", "other"):
        pid = box.init_pid(f"{tenant}/web")
        for name in ("cmdline", "environ"):
            with open(f"/proc/{pid}/{name}", "rb") as f:
                assert SECRET.encode() not in f.read()


@pytest.mark.parametrize("plant", PLANTS)
def test_what_is_on_the_way_leads_nowhere(box, tmp_path, plant):
    script, naive = PLANTS[plant]
    before = host_state(box)
    box.tenant()
    launch(box, tmp_path)
    # The mount is in the way of the tenant, too: it plants in a run that has none.
    stop(box)
    box.ok("set", "acme/web", "--no-cloud-init")
    box.ok("start", "acme/web")
    box.sh("acme/web", script)
    if naive:
        # Control: who goes by the name gets there.
        box.sh("acme/web", f"echo led >{SEED}/here && cat {naive}/here")
    stop(box)
    box.ok("set", "acme/web", "--user-data", str(tmp_path / "user-data"))
    refused = box.croft("start", "acme/web")
    assert refused.rc == 1 and "--no-cloud-init" in refused.err, refused
    check_sentence(refused.err, box.base)
    assert box.info("acme/web")["state"] == "STOPPED" and host_state(box) == before
    # The way out of it that the sentence names.
    box.ok("set", "acme/web", "--no-cloud-init")
    box.ok("start", "acme/web")
    if naive:
        assert box.exec("acme/web", "/bin/cat", f"{naive}/user-data").rc != 0


def test_a_volume_on_the_way(box):
    """What a volume has is not written to: other containers have it, too."""
    box.tenant()
    box.ok("volume", "create", "acme/data")
    box.ok("create", "busybox", "acme/web", "--cloud-init")
    box.ok("volume", "attach", "acme/data", "acme/web:/var/lib/cloud")
    refused = box.croft("start", "acme/web")
    assert refused.rc == 1 and "a volume is on the way" in refused.err, refused
    box.ok("set", "acme/web", "--no-cloud-init")
    box.ok("start", "acme/web")
    assert box.sh("acme/web", "ls -A /var/lib/cloud") == ""


def test_a_key_is_one_line(box):
    """A key with a second line would be a line of the meta data, another instance's id say."""
    box.tenant()
    request = {"parent": "tenants/acme", "container_id": "web", "container": {
        "image": "images/busybox",
        "cloud_init": {"ssh_keys": ["ssh-ed25519 AAAA x\"\ninstance-id: mine"]}}}
    with box.api() as api:
        with pytest.raises(grpc.RpcError) as refused:
            api.call("Containers/LaunchContainer", request)
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        # Control: without the line's end it is taken, and the quote in it ends nothing.
        request["container"]["cloud_init"]["ssh_keys"] = ["ssh-ed25519 AAAA x\" instance-id: mine"]
        api.call("Containers/LaunchContainer", request)
    text = box.sh("acme/web", f"cat {SEED}/meta-data")
    assert text.splitlines()[2:] == [
        "public-keys:", '  - "ssh-ed25519 AAAA x\\" instance-id: mine"', ""]
