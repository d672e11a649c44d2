"""A real system container: Debian 12 with systemd, as a customer would order it."""

import pytest

from croft_harness import wait_until


@pytest.fixture
def debian(daemon, debian_image):
    daemon.ok("image", "import", "debian12", debian_image, timeout=180)
    daemon.tenant(memory="1G", cpu="2", pids=500)
    daemon.launch("acme/deb", image="debian12")
    return daemon


def wait_booted(daemon, name="acme/deb"):
    def state():
        return daemon.exec(name, "/usr/bin/systemctl", "is-system-running").out.strip()

    wait_until("systemd has booted", lambda: state() in ("running", "degraded"), 60, 0.3)
    if state() != "running":
        raise AssertionError(daemon.exec(
            name, "/usr/bin/systemctl", "--failed", "--no-pager").out)


@pytest.mark.vm
def test_whole_life(debian):
    wait_booted(debian)
    name = "acme/deb"

    # The journal, and a service of its own.
    assert "systemd" in debian.sh(name, "journalctl --no-pager -n 200")
    unit = "[Service]\\nExecStart=/bin/sleep 1000\\n"
    debian.sh(name, f"printf '{unit}' >/etc/systemd/system/nap.service; "
              "systemctl daemon-reload; systemctl start nap")
    assert debian.sh(name, "systemctl is-active nap").strip() == "active"
    debian.sh(name, "systemctl stop nap")

    # Users, sudo, setuid: root inside is root of its own.
    result = debian.exec(name, "/usr/bin/sudo", "-n", "id", "-u", options=["-u", "alice"])
    assert result.out.strip() == "0", result
    assert debian.sh(name, "su alice -c 'id -un'").strip() == "alice"
    debian.sh(name, "useradd bob && passwd -d bob && su bob -c true")
    debian.sh(name, "loginctl list-sessions --no-pager")

    # A new run of the same disk; at once, also with a user's manager to be ended: systemd must
    # hear that its cgroup is empty, or it waits until it times out.
    for _ in range(3):
        debian.sh(name, "su - alice -c true")
        first = debian.info(name)["run"]
        debian.exec(name, "/usr/bin/systemctl", "reboot")
        wait_until("it has rebooted", lambda old=first: (
            i := debian.info(name))["state"] == "RUNNING" and i["run"]["id"] != old["id"], 20)
        wait_booted(debian)
    assert debian.sh(name, "id -un bob").strip() == "bob"

    # And off, from inside.
    debian.exec(name, "/usr/bin/systemctl", "poweroff")
    run = debian.wait_state(name, "STOPPED", 60)["run"]
    assert run["exit"]["kind"] == "POWEROFF", run


def test_stop_shuts_it_down_in_order(debian):
    wait_booted(debian)
    debian.sh("acme/deb", "printf '[Service]\\nExecStart=/bin/sleep 1000\\n"
              "ExecStop=/bin/sh -c \"echo orderly >/stopped\"\\n' "
              ">/etc/systemd/system/nap.service; systemctl daemon-reload; systemctl start nap")
    debian.ok("stop", "--timeout", "60", "acme/deb", timeout=90)
    run = debian.info("acme/deb")["run"]
    assert run["exit"]["kind"] != "SIGNALLED" or run["exit"].get("signal") != 9, run
    debian.ok("start", "acme/deb")
    assert debian.exec("acme/deb", "/bin/cat", "/stopped").out == "orderly\n"
    debian.ok("kill", "acme/deb")


def test_survives_a_crash_of_both_daemons(debian):
    wait_booted(debian)
    before = debian.info("acme/deb")["run"]
    debian.kill9("croftd")
    debian.kill9("supervisor")
    debian.restart("croftd", "supervisor")
    assert debian.info("acme/deb")["run"]["id"] == before["id"]
    assert debian.exec("acme/deb", "/usr/bin/systemctl", "is-system-running").out == "running\n"
    debian.ok("kill", "acme/deb")
