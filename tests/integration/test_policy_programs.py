"""What real programs make of the policies `shell` and `strict`: a shell service with sshd, and
applications of one process."""

import os
import re
import subprocess

import pytest

from croft_harness import IMAGES, wait_until
from networked import kept, lab  # noqa: F401

SHELL_IMAGE = os.path.join(IMAGES, "shell.tar.zst")
PYTHON = """
import os, multiprocessing, socket, subprocess, tempfile, threading
with tempfile.NamedTemporaryFile() as f:
    f.write(b"x" * 100000); f.flush()
    assert subprocess.run(["wc", "-c", f.name], capture_output=True).stdout.split()[0] == b"100000"
seen = []
threads = [threading.Thread(target=seen.append, args=(i,)) for i in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
assert sorted(seen) == list(range(8))
with socket.create_server(("127.0.0.1", 0)) as server:
    with socket.create_connection(server.getsockname()) as c:
        server.accept()[0].sendall(b"hello")
        assert c.recv(5) == b"hello"
r, w = os.pipe()
if os.fork() == 0:
    os.write(w, b"child"); os._exit(7)
assert os.read(r, 5) == b"child" and os.waitstatus_to_exitcode(os.wait()[1]) == 7
q = multiprocessing.Queue(); q.put(42); assert q.get() == 42
print("python works")
"""


def import_shell(box):
    if not os.path.isfile(SHELL_IMAGE):
        pytest.skip("build/images/shell.tar.zst is not there; make images")
    box.ok("image", "import", "shell", SHELL_IMAGE, timeout=180)


FETCH = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=5).read().decode())"


def fetch(lab, url):  # noqa: F811
    """A page as the world outside gets it; "" while there is none."""
    done = lab.run("outside", "/usr/bin/python3", "-c", FETCH, url)
    return done.stdout if done.returncode == 0 else ""


def use_coreutils(box, name, options=()):
    """dash and coreutils, as somebody would use them."""
    script = ("cd $(mktemp -d) && seq 1000 | sort -rn | head -1 && mkdir -p a/b && "
              "echo text >a/b/f && ln a/b/f a/hard && ln -s b/f a/soft && cp -a a c && "
              "stat -c %h c/hard && mkfifo p && (cat a/soft >p & cat p) && mv c d && "
              "find d -type f | xargs sha256sum | cut -c 1-8 | uniq | wc -l && "
              "touch -d 2001-01-01 old && date -r old +%Y && dd if=/dev/zero of=z bs=1M count=4 "
              "status=none && truncate -s 1G z && chmod 600 z && tail -c 1 z | wc -c && df . "
              ">/dev/null && timeout 5 sleep 0.01 && nice -n 5 true && nohup true 2>/dev/null "
              "&& id -un && rm -r d && trap 'echo trapped' USR1 && kill -USR1 $$")
    result = box.exec(name, "/bin/dash", "-c", script, options=options)
    assert result.rc == 0 and not result.err, result
    return result.out.split()


class TestShell:
    def boot(self, box):
        import_shell(box)
        box.tenant(memory="1G", cpu="2", pids=300)
        box.launch("acme/sh", image="shell", options=["--policy", "shell"])
        wait_until("sysvinit has booted", lambda: box.exec(
            "acme/sh", "/bin/sh", "-c", "runlevel | grep -qx 'N 2'").rc == 0, 60, 0.2)

    def test_a_service_with_users(self, box, lab, tmp_path):  # noqa: F811
        """Debian with sysvinit boots, is used, and lets its users in through sshd; what the
        policy refuses is refused in a session too."""
        self.boot(box)
        assert use_coreutils(box, "acme/sh")[-2:] == ["root", "trapped"]
        assert use_coreutils(box, "acme/sh", ["-u", "bob"])[-2:] == ["bob", "trapped"]
        assert box.exec("acme/sh", "python3", "-c", PYTHON,
                        options=["-u", "alice"]).out == "python works\n"
        assert box.sh("acme/sh", "su alice -c 'id -un'").strip() == "alice"
        self.log_in(box, lab, tmp_path)
        box.ok("stop", "--timeout", "60", "acme/sh", timeout=90)
        assert box.info("acme/sh")["run"]["exit"]["kind"] in ("POWEROFF", "REBOOT")

    def log_in(self, box, lab, tmp_path):  # noqa: F811
        key = tmp_path / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        box.sh("acme/sh", "ssh-keygen -A >/dev/null && service ssh start", timeout=60)
        box.exec("acme/sh", "/bin/sh", "-c", "mkdir -m 700 ~/.ssh && cat >~/.ssh/authorized_keys",
                 stdin=(tmp_path / "key.pub").read_bytes(), options=["-u", "alice", "-w",
                                                                     "/home/alice"])
        address = box.info("acme/sh")["ipv4_address"]
        box.ok("forward", "add", "acme/sh", "2222", "22")

        def ssh(where, *words):
            port = ["-p", "2222", "alice@192.0.2.1"] if where == "outside" else [
                f"alice@{address}"]
            return lab.run(where, "ssh", "-F", "none", "-i", str(key), "-o",
                           "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR", "-o",
                           f"UserKnownHostsFile={tmp_path}/known", "-o", "BatchMode=yes",
                           *port, *words, timeout=60)

        for where in ("host", "outside"):
            done = ssh(where, "id -un; tty; cat /proc/self/status | grep Seccomp: | tr -d '\\t'")
            assert done.stdout.split() == ["alice", "not", "a", "tty", "Seccomp:2"], done.stdout
        # With a terminal; a session is as confined as the rest.
        done = lab.run("host", "ssh", "-F", "none", "-i", str(key), "-o", "LogLevel=ERROR", "-o",
                       f"UserKnownHostsFile={tmp_path}/known", "-tt", f"alice@{address}",
                       "tty; unshare -r true; mount -t tmpfs t /tmp; "
                       "python3 -c 'import socket; socket.socket(2, 3, 1)'; exit 9", timeout=60)
        assert done.returncode == 9, done
        assert "/dev/pts/" in done.stdout and done.stdout.count("not permitted") >= 2, done.stdout
        # sshd's own sandbox works on top of it: an unprivileged child answers strangers.
        assert ssh("host", "-o", "PubkeyAuthentication=no", "true").returncode == 255

    def test_busybox_boots_and_files_move(self, box, tmp_path):
        box.tenant()
        box.launch("acme/web", options=["--policy", "shell"])
        (tmp_path / "page").write_text("a page\n")
        box.sh("acme/web", "mkdir -p /srv/www")
        box.ok("push", str(tmp_path / "page"), "acme/web:/srv/www/index.html")
        box.sh("acme/web", "httpd -p 80 -h /srv/www && wget -qO /tmp/got http://127.0.0.1/")
        assert box.ok("pull", "acme/web:/tmp/got", "-") == "a page\n"
        box.ok("stop", "acme/web")
        assert box.info("acme/web")["run"]["exit"]["kind"] == "POWEROFF"

    def test_systemd_says_why_it_cannot(self, box, debian_image):
        """It mounts file systems of its own before all else. docs/POLICIES.md says so."""
        box.ok("image", "import", "debian", debian_image, timeout=180)
        box.tenant(memory="1G")
        for policy, state in (("shell", "STOPPED"), ("default", "RUNNING")):
            box.launch(f"acme/{policy}", image="debian", options=["--policy", policy])
            if state == "STOPPED":
                ended = box.wait_state(f"acme/{policy}", state)
                assert ended["run"]["exit"] == {"kind": "EXITED", "status": 255}
                assert "Failed to mount" in box.ok("logs", f"acme/{policy}")
            else:
                wait_until("systemd runs", lambda: box.exec(
                    "acme/default", "/bin/sh", "-c",
                    "systemctl is-system-running | grep -qE 'running|degraded'").rc == 0, 60, 0.2)


class TestStrict:
    def test_an_application_of_other_tools(self, box, app_images):
        """As test_image_kinds.py runs them, which says what each line means."""
        box.tenant()
        for archive in ("podman-docker", "skopeo-oci"):
            box.ok("image", "import", archive, os.path.join(app_images, f"{archive}.tar"))
            name = f"acme/{archive}"
            box.launch(name, image=archive, options=["--policy", "strict"])
            lines = wait_until("it is ready", lambda n=name: (
                text if "ready" in (text := box.ok("logs", n)) else "")).splitlines()
            assert "args --flag two words" in lines and "dir /srv/app" in lines
            assert "id uid=1000(app) gid=1000(app) groups=2000(more)" in lines
            # Pid 1 is croft-init, under the policy as the application is.
            assert "Seccomp:\t2" in box.sh(name, "cat /proc/1/status")
            box.ok("stop", name)
            assert box.info(name)["run"]["exit"] == {"kind": "EXITED", "status": 7}
            assert "stopped by QUIT" in box.ok("logs", name)

    def test_a_web_server(self, box, lab, tmp_path):  # noqa: F811
        """busybox's, which the world reaches; files go in and out."""
        box.tenant()
        box.launch("acme/web", options=["--policy", "strict"],
                   init=["/bin/sh", "-c", "mkdir -p /srv/www && exec httpd -f -p 80 -h /srv/www"])
        wait_until("it has begun", lambda: box.exec("acme/web", "/bin/ls", "/srv/www").rc == 0)
        (tmp_path / "www").mkdir()
        (tmp_path / "www" / "index.html").write_text("a page\n")
        box.ok("push", str(tmp_path / "www"), "acme/web:/srv/")
        box.ok("forward", "add", "acme/web", "8080", "80")
        page = wait_until("the page is served", lambda: fetch(lab, "http://192.0.2.1:8080/"))
        assert page == "a page\n\n"
        assert box.ok("pull", "acme/web:/srv/www/index.html", "-") == "a page\n"

    def test_python_serves(self, box, lab):  # noqa: F811
        """An interpreter with threads, forks, sockets and semaphores, as pid 1 and as a user."""
        import_shell(box)
        box.tenant(memory="512M", cpu="2")
        box.launch("acme/py", image="shell", options=["--policy", "strict", "--with-init"],
                   init=["/usr/bin/python3", "-m", "http.server", "--directory", "/etc", "80"])
        box.ok("forward", "add", "acme/py", "8081", "80")
        page = wait_until("it serves", lambda: fetch(lab, "http://192.0.2.1:8081/hostname"), 30)
        assert page == "shell\n\n"
        for options in ([], ["-u", "alice"]):
            done = box.exec("acme/py", "python3", "-c", PYTHON, options=options)
            assert done.out == "python works\n", done
        assert use_coreutils(box, "acme/py")[-2:] == ["root", "trapped"]
        refused = box.exec("acme/py", "python3", "-c", "import os; os.chroot('/')")
        assert re.search("PermissionError", refused.err)
