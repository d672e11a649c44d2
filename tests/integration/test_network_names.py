"""Names: containers of a tenant know each other by name, and nobody else's; what an image has at
/etc/hosts redirects nothing."""

import io
import ipaddress
import os
import signal
import tarfile

import pytest

import kernel
from networked import POOLS, addresses, host_links, kept, lab, lookup, ping  # noqa: F401


class TestNames:
    def test_containers_of_a_tenant_by_name(self, box):
        box.tenant()
        web = box.launch("acme/web")
        db = box.launch("acme/db")
        # Also one that was there before the other came, and oneself.
        assert lookup(box, "acme/web", "db") == db["ipv4_address"]
        assert lookup(box, "acme/db", "web") == web["ipv4_address"]
        assert lookup(box, "acme/web", "web") == web["ipv4_address"]
        assert ping(box, "acme/web", "db").rc == 0
        hosts = box.sh("acme/web", "cat /etc/hosts")
        assert f"{db['ipv6_address']}\tdb\n" in hosts and "localhost" in hosts
        box.ok("kill", "acme/db")
        box.wait_state("acme/db", "STOPPED")
        assert lookup(box, "acme/web", "db") is None
        box.ok("start", "acme/db")
        assert lookup(box, "acme/web", "db") == db["ipv4_address"]
        box.ok("delete", "--force", "acme/db")
        assert "db" not in box.sh("acme/web", "cat /etc/hosts")

    def test_other_tenants_never(self, box):
        box.tenant("acme")
        box.tenant("other")
        box.launch("acme/web")
        box.launch("other/secret")
        box.launch("other/web")
        assert lookup(box, "acme/web", "secret") is None
        assert lookup(box, "acme/web", "web") == box.info("acme/web")["ipv4_address"]
        assert "secret" not in box.sh("acme/web", "cat /etc/hosts")
        # The control: it is a name where it should be one.
        assert lookup(box, "other/web", "secret") == box.info("other/secret")["ipv4_address"]

    def test_the_files_are_the_hosts(self, box):
        box.tenant()
        box.launch("acme/web")
        for name in ("hosts", "resolv.conf"):
            for attempt in (f"echo 10.9.9.9 evil >>/etc/{name}", f"rm /etc/{name}",
                            f"mv /etc/{name} /etc/x", f"umount /etc/{name}",
                            f"mount -o remount,rw /etc/{name}", f"chmod 666 /etc/{name}"):
                assert box.exec("acme/web", "/bin/sh", "-c", attempt).rc != 0, attempt
        mounted = box.sh("acme/web", "cat /proc/self/mountinfo")
        assert "/etc/hosts ro," in mounted and box.base not in mounted
        assert "croft-test" not in mounted.replace(box.parent, "")

    def test_without_a_network_they_are_the_images(self, box):
        box.tenant()
        box.launch("acme/alone", options=["--no-network"])
        box.launch("acme/web")
        assert "/etc/hosts" not in box.sh("acme/alone", "cat /proc/self/mountinfo")
        assert "alone" not in box.sh("acme/web", "cat /etc/hosts")

    @pytest.mark.parametrize("which", ["supervisor", "both"])
    def test_kill_9(self, box, which):
        """Containers keep their view of the file, and it goes on telling the truth."""
        box.tenant()
        box.launch("acme/web")
        box.launch("acme/gone")
        dead = ["croftd", "supervisor"] if which == "both" else [which]
        gone = box.info("acme/gone")["run"]["host_pid"]
        for daemon in dead:
            box.kill9(daemon)
        os.kill(gone, signal.SIGKILL)
        box.restart(*dead)
        db = box.launch("acme/db")
        assert lookup(box, "acme/web", "db") == db["ipv4_address"]
        box.wait_state("acme/gone", "STOPPED")
        assert lookup(box, "acme/web", "gone") is None
        assert lookup(box, "acme/web", "web") == box.info("acme/web")["ipv4_address"]


class TestHostileImages:
    IMAGES = {
        "no-etc": (None, False),
        "missing": ([], True),
        "links": ([("etc/hosts", "/proc/1/root/etc/passwd"), ("etc/resolv.conf", "../../x")], True),
        "link-loop": ([("etc/hosts", "hosts"), ("etc/resolv.conf", "/etc/resolv.conf")], True),
        "directories": ([("etc/hosts", tarfile.DIRTYPE), ("etc/resolv.conf", tarfile.DIRTYPE)],
                        False),
        "fifos": ([("etc/hosts", tarfile.FIFOTYPE), ("etc/resolv.conf", tarfile.FIFOTYPE)], True),
        "etc-is-a-link": ([("etc", "/proc/self/cwd")], False),
        "etc-points-out": ([("etc", "../../../../tmp")], False),
        "etc-is-a-file": ([("etc", tarfile.REGTYPE)], False),
    }

    @staticmethod
    def image(members):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            def add(name, kind, data=b"", link=""):
                info = tarfile.TarInfo(name)
                info.type, info.size, info.linkname, info.mode = kind, len(data), link, 0o755
                tar.addfile(info, io.BytesIO(data))

            with open("/bin/busybox", "rb") as f:
                add("bin/busybox", tarfile.REGTYPE, data=f.read())
            for applet in ("sh", "sleep", "cat", "ls"):
                add(f"bin/{applet}", tarfile.SYMTYPE, link="busybox")
            if members is not None and not any(name == "etc" for name, _ in members):
                add("etc", tarfile.DIRTYPE)
            for name, what in members or ():
                if isinstance(what, str):
                    add(name, tarfile.SYMTYPE, link=what)
                else:
                    add(name, what)
        return out.getvalue()

    @pytest.mark.parametrize("what", IMAGES)
    def test_what_is_at_etc_hosts(self, box, what):
        """It starts, has its network, and nothing but its own /etc/hosts is covered."""
        members, named = self.IMAGES[what]
        with open("/etc/passwd", "rb") as f:
            before = f.read()
        box.tenant()
        box.ok("image", "import", "evil", "-", "--init", "/bin/sleep", stdin=self.image(members))
        info = box.launch("acme/evil", image="evil", init=["/bin/sleep", "1000"])
        mounted = [line.split()[4]
                   for line in box.sh("acme/evil", "cat /proc/self/mountinfo").splitlines()]
        inside = sorted(point for point in mounted if point.startswith("/etc"))
        assert inside == (["/etc/hosts", "/etc/resolv.conf"] if named else []), mounted
        if named:
            assert info["ipv4_address"] in box.sh("acme/evil", "cat /etc/hosts")
        with open("/etc/passwd", "rb") as f:
            assert f.read() == before
        assert "evil" not in str(kernel.mounts())


class TestResolvers:
    def test_named_by_the_operator(self, lab, bare_daemon):
        bare_daemon.netns = lab.host
        bare_daemon.start(*POOLS, "--dns", "192.0.2.53,2001:db8::53")
        bare_daemon.busybox()
        bare_daemon.tenant()
        bare_daemon.launch("acme/web")
        resolv = bare_daemon.sh("acme/web", "cat /etc/resolv.conf")
        assert resolv == "nameserver 192.0.2.53\nnameserver 2001:db8::53\n"
        # Another one after a restart is seen by what runs.
        bare_daemon.terminate("croftd")
        bare_daemon.start(*POOLS, "--dns", "192.0.2.54")
        assert bare_daemon.sh("acme/web", "cat /etc/resolv.conf") == "nameserver 192.0.2.54\n"

    def test_the_hosts_by_default(self, lab, bare_daemon):
        bare_daemon.netns = lab.host
        bare_daemon.start(*POOLS)
        bare_daemon.busybox()
        bare_daemon.tenant()
        bare_daemon.launch("acme/web")
        with open("/etc/resolv.conf", encoding="utf-8") as f:
            wanted = [w for line in f if (w := line.split())[:1] == ["nameserver"]
                      and not ipaddress.ip_address(w[1]).is_loopback]
        resolv = bare_daemon.sh("acme/web", "cat /etc/resolv.conf")
        assert [line.split() for line in resolv.splitlines()] == wanted[:4]
