"""Debian with its own cloud-init package, booted: one story for several releases. Bookworm's runs
with every `make test` (test_cloud_boot.py), others with the distributions."""

import json
import os
import subprocess

import netlab
from croft_harness import wait_until
from fixtures import IMAGES
from networked import addresses

# The locale is one that an image without the package `locales` has.
USER_DATA = """#cloud-config
locale: C.UTF-8
users:
  - default
  - name: carol
    shell: /bin/bash
    ssh_authorized_keys:
      - {key}
runcmd:
  - echo ran >>/root/runs
"""


def import_image(box, name):
    """The image of that name, which must be there: without it nothing is shown."""
    path = os.path.join(IMAGES, "distributions", name + ".tar.zst")
    assert os.path.isfile(path), f"{path} is not there; tests/images/build-distributions makes it"
    box.ok("image", "import", name, path, timeout=240)


def key_pair(folder, name):
    path = str(folder / name)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path],
                   check=True, stdin=subprocess.DEVNULL)
    return path


def ssh(lab, key, user, port, *command):
    """From another network namespace, through the host's port. Knows no host yet."""
    return lab.run(
        "outside", "ssh", "-F", "none", "-i", key, "-p", str(port), "-o", "BatchMode=yes",
        "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no",
        "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=30",
        f"{user}@{netlab.HOST4}", *command, timeout=90)


def booted(box, name):
    """cloud-init has ended at this boot, and nothing went wrong."""
    def is_done():
        return box.exec(name, "/bin/sh", "-c", "test -e /run/cloud-init/result.json").rc == 0

    wait_until("cloud-init has ended", is_done, 120, 0.5)
    result = json.loads(box.sh(name, "cat /run/cloud-init/result.json"))["v1"]
    assert result["errors"] == [] and "DataSourceNoCloud" in result["datasource"], result
    return box.sh(name, "cat /etc/ssh/ssh_host_ed25519_key.pub")


def runs(box, name):
    return len(box.sh(name, "cat /root/runs").splitlines())


def first_boot_and_those_after_it(box, image, tmp_path):
    """What a container is given makes its user and keys at the first boot, so that whoever has
    the key gets in from outside, and is not acted on again."""
    box.tenant(memory="1G", cpu="2", pids=300)
    mine, carols = key_pair(tmp_path, "mine"), key_pair(tmp_path, "carols")
    data = tmp_path / "user-data"
    with open(carols + ".pub", encoding="ascii") as f:
        data.write_text(USER_DATA.format(key=f.read().strip()))
    made = box.launch("acme/vm", image=image,
                      options=("--user-data", str(data), "--ssh-key", mine + ".pub"))
    host_key = booted(box, "acme/vm")
    assert box.sh("acme/vm", "cat /etc/hostname && uname -n").split() == ["vm", "vm"]
    assert runs(box, "acme/vm") == 1
    # It had nothing to do about the network, which is as Croft made it.
    assert {a.split("/")[0] for a in addresses(box, "acme/vm")[0]} == {made["ipv4_address"]}

    # In from outside, with the keys that cloud-init put there, and with no other.
    box.ok("forward", "add", "acme/vm", "2222", "22")
    wait_until("carol gets in",
               lambda: ssh(box.lab, carols, "carol", 2222, "id", "-un").stdout == "carol\n", 60, 1)
    assert ssh(box.lab, mine, "debian", 2222, "sudo", "id", "-u").stdout == "0\n"
    refused = ssh(box.lab, mine, "carol", 2222, "id", "-un")
    assert refused.returncode == 255 and "Permission denied" in refused.stdout, refused

    # Another boot is none of another instance.
    box.ok("restart", "--timeout", "60", "acme/vm", timeout=90)
    assert booted(box, "acme/vm") == host_key
    assert runs(box, "acme/vm") == 1
    wait_until("carol gets in again",
               lambda: ssh(box.lab, carols, "carol", 2222, "id", "-un").stdout == "carol\n", 60, 1)

    # A copy is one: it has its own name and keys, and does again what its data say.
    box.ok("stop", "--timeout", "60", "acme/vm", timeout=90)
    box.ok("copy", "acme/vm", "acme/twin")
    box.ok("start", "acme/twin")
    assert booted(box, "acme/twin") != host_key
    assert box.sh("acme/twin", "cat /etc/hostname && uname -n").split() == ["twin", "twin"]
    assert runs(box, "acme/twin") == 2
    # What is mounted for it is in nobody's way who begins anew.
    box.sh("acme/twin", "cloud-init clean && test ! -e /var/lib/cloud/instance")


def boot_that_is_given_nothing(box, image):
    """cloud-init finds no data, and leaves the boot alone: as without Croft."""
    box.tenant("globex", memory="1G", cpu="2", pids=300)
    box.launch("globex/plain", image=image)
    is_up = "systemctl is-system-running | grep -Eq 'running|degraded'"
    wait_until("it has booted",
               lambda: box.exec("globex/plain", "/bin/sh", "-c", is_up).rc == 0, 120, 0.5)
    assert box.sh("globex/plain", "cat /run/cloud-init/cloud-init-generator.log /run/cloud-init/"
                  "ds-identify.log 2>&1; test ! -e /run/cloud-init/result.json")
