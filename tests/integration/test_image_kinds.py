"""Images of all kinds: what is detected by what it holds, how applications run, what is refused.

The archives of test_other_tools are made by tests/images/build-apps, those of
test_exports_of_lxd by build-lxd; those of the others here.
"""

import gzip
import io
import os
import random
import subprocess
import time
import re
import tarfile

import pytest

import hostile_images
import leaks
from croft_harness import check_sentence, program, wait_until
from hostile_tars import directory, entry, hardlink, symlink, tar
from image_archives import Layout, docker, oci

APPLETS = ("sh", "sleep", "cat", "ls", "true", "id", "env", "pwd", "nc", "httpd")
PASSWD = b"root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n"
GROUP = b"root:x:0:\napp:x:1000:\nmore:x:2000:app\n"
TELL = b"""#!/bin/sh
trap 'echo "stopped by QUIT"; exit 7' QUIT
echo "args $*"
echo "id $(id)"
echo "dir $PWD"
env | while read -r line; do echo "env $line"; done
echo ready
while :; do sleep 0.1; done
"""


def busybox_layer(*more):
    with open("/bin/busybox", "rb") as f:
        data = f.read()
    return tar(directory("bin"), entry("bin/busybox", data, mode=0o755),
               *[symlink(f"bin/{name}", "busybox") for name in APPLETS],
               directory("etc"), entry("etc/passwd", PASSWD), entry("etc/group", GROUP),
               directory("opt"), directory("opt/bin"),
               entry("opt/bin/app", TELL, mode=0o755), *more)


RUN = {"Entrypoint": ["app"], "Cmd": ["--flag", "two words"], "User": "app",
       "Env": ["PATH=/opt/bin:/bin", "GREETING=hello"], "WorkingDir": "/srv/app",
       "StopSignal": "SIGQUIT"}


def launch_app(box, image="app", name="acme/app", **options):
    box.launch(name, image=image, **options)
    wait_until("it is ready", lambda: "ready" in box.ok("logs", name))
    return box.ok("logs", name).splitlines()


def check_app(box, lines):
    assert "args --flag two words" in lines
    assert "id uid=1000(app) gid=1000(app) groups=2000(more)" in lines
    assert "dir /srv/app" in lines
    assert {"env GREETING=hello", "env PATH=/opt/bin:/bin", "env HOME=/home/app",
            "env container=croft"} <= set(lines)


@pytest.mark.vm
class TestApplications:
    def test_runs_as_its_config_says(self, box):
        box.tenant()
        box.ok("image", "import", "app", "-", stdin=oci(
            busybox_layer(), run=RUN))
        shown = box.json("image", "show", "app")
        assert shown["application"] == {
            "args": ["app", "--flag", "two words"], "env": RUN["Env"], "user": "app",
            "working_dir": "/srv/app"}
        assert shown["stop_signal"] == 3 and shown["init"] == "app"
        check_app(box, launch_app(box))
        # Pid 1 is croft-init, the user's; the application is its child.
        assert box.sh("acme/app", "cat /proc/1/comm").strip().endswith("croft-ini")
        assert "Uid:\t1000" in box.sh("acme/app", "cat /proc/1/status")
        # A command finds the image's environment, and its own on top of it.
        found = box.exec("acme/app", "env", options=["-e", "MORE=1"]).out.splitlines()
        assert {"GREETING=hello", "PATH=/opt/bin:/bin", "HOME=/root", "MORE=1"} <= set(found)
        found = box.exec("acme/app", "env", options=["-e", "GREETING=bye"]).out.splitlines()
        assert "GREETING=bye" in found and "GREETING=hello" not in found
        box.ok("stop", "acme/app")
        assert box.info("acme/app")["run"]["exit"] == {"kind": "EXITED", "status": 7}
        assert "stopped by QUIT" in box.ok("logs", "acme/app")

    @pytest.mark.native("the image's row")
    def test_config_outlives_the_daemons(self, box):
        box.tenant()
        box.ok("image", "import", "app", "-", stdin=docker(
            busybox_layer(), run=RUN))
        before = box.json("image", "show", "app")
        box.kill9("croftd")
        box.revive()
        assert box.json("image", "show", "app") == before
        check_app(box, launch_app(box))

    @pytest.mark.native("croftd's choice of arguments")
    def test_another_init_keeps_the_rest(self, box):
        box.tenant()
        box.ok("image", "import", "app", "-", stdin=oci(
            busybox_layer(), run=RUN))
        lines = launch_app(box, init=["/opt/bin/app", "mine"])
        assert "args mine" in lines and "dir /srv/app" in lines
        assert "env GREETING=hello" in lines
        assert box.sh("acme/app", "cat /proc/1/comm").strip() == "app"

    def test_one_binary_beside_a_distribution(self, box):
        """An image with nothing but a program; it gets its /proc, /dev and /sys all the same."""
        with open("/bin/busybox", "rb") as f:
            only = tar(entry("busybox-only", f.read(), mode=0o755))
        box.tenant()
        box.ok("image", "import", "only", "-", stdin=oci(
            only, run={"Cmd": ["/busybox-only", "sleep", "1000"], "User": "4242"}))
        box.launch("acme/only", image="only")
        box.launch("acme/web")
        status = box.exec("acme/only", "/busybox-only", "cat", "/proc/1/status").out
        # As docker has it, a number without an entry is in root's group.
        assert "Uid:\t4242" in status and "Gid:\t0\t" in status, status
        assert "Linux" in box.sh("acme/web", "uname")
        box.ok("stop", "acme/only")


def test_users_and_directories_that_are_not_there(box):
    box.tenant()
    for number, (change, match) in enumerate((
            ({"User": "nobody"}, "nobody"), ({"User": "app:nothing"}, "nothing"),
            ({"Entrypoint": ["/no/such"]}, None), ({"WorkingDir": "/etc/passwd"}, None))):
        image = f"app{number}"
        archive = oci(busybox_layer(), run={**RUN, **change})
        imported = box.croft("image", "import", image, "-", stdin=archive)
        if imported.rc:
            check_sentence(imported.err, box.base)
            continue
        result = box.croft("launch", image, f"acme/a{number}")
        if match:
            assert result.rc == 1 and match in result.err, result
            check_sentence(result.err, box.base)
        else:
            # Behind croft-init it is found out once that runs.
            box.wait_state(f"acme/a{number}", "STOPPED")
            assert box.info(f"acme/a{number}")["run"]["exit"]["status"] == 127


def test_user_and_group_by_number_and_name(box):
    box.tenant()
    layer = busybox_layer()
    for number, (user, expected) in enumerate((
            ("1000:2000", "uid=1000(app) gid=2000(more)"),
            ("app:root", "uid=1000(app) gid=0(root)"),
            ("4242:77", "uid=4242 gid=77"), ("", "uid=0(root) gid=0(root)"))):
        archive = docker(layer, run={**RUN, "User": user})
        box.ok("image", "import", f"app{number}", "-", stdin=archive)
        lines = launch_app(box, image=f"app{number}", name=f"acme/a{number}")
        assert any(line.startswith(f"id {expected}") for line in lines), lines


def test_distributions_in_layers_boot(box):
    """A shell as the command stands for none, where there is an init."""
    inits = busybox_layer(directory("sbin"), symlink("sbin/init", "../bin/busybox"))
    for number, run in enumerate(({}, {"Cmd": ["/bin/sh"]}, {"Cmd": ["bash"]})):
        box.ok("image", "import", f"d{number}", "-", stdin=oci(inits, run=run))
        shown = box.json("image", "show", f"d{number}")
        assert shown["init"] == "/sbin/init" and "application" not in shown
    box.ok("image", "import", "app", "-", stdin=oci(inits, run=RUN))
    assert box.json("image", "show", "app")["init"] == "app"
    box.ok("image", "import", "mine", "-", "--init", "/bin/sh",
           stdin=oci(inits, run=RUN))
    shown = box.json("image", "show", "mine")
    assert shown["init"] == "/bin/sh" and "application" not in shown
    box.ok("image", "import", "init", "-", stdin=oci(
        inits, run={"Cmd": ["/sbin/init"], "Env": ["A=b"]}))
    shown = box.json("image", "show", "init")
    assert shown["application"] == {"args": ["/sbin/init"], "env": ["A=b"], "is_init": True}
    box.tenant()
    box.launch("acme/init", image="init")
    assert box.sh("acme/init", "cat /proc/1/comm").strip() == "init"
    assert "A=b" in box.sh("acme/init", "cat /proc/1/environ").split("\0")


def test_several_images_need_a_choice(box):
    layout = Layout()
    layout.image([tar(entry("one", b"1"))], name="v1")
    layout.image([tar(entry("two", b"2"))], name="v2", run={"Cmd": ["/two"]})
    archive = layout.pack()
    message = box.refused("image", "import", "app", "-", stdin=archive, match="--reference")
    assert "v1" in message and "v2" in message
    box.refused("image", "import", "app", "-", "--reference", "v3", stdin=archive, match="v3")
    box.ok("image", "import", "app", "-", "--reference", "v2", stdin=archive)
    assert box.json("image", "show", "app")["init"] == "/two"
    digest = layout.manifests[0]["digest"]
    box.ok("image", "import", "one", "-", "--reference", digest, stdin=archive)
    plain = tar(directory("etc"))
    box.refused("image", "import", "x", "-", "--reference", "v1", stdin=plain, match="without")
    box.refused("image", "import", "x", "-", "--reference", "a b", stdin=plain, match="blanks")
    assert sorted(i["name"] for i in box.json_lines("image", "list")) == [
        "images/app", "images/busybox", "images/one"]


def test_refusals_are_sentences_and_leave_nothing(box):
    before = leaks.pool_images(box)
    assert before == {"images/busybox"}
    for case in hostile_images.CASES:
        # What is too large by the limits of the other tests is not by those of a real import.
        if case.expected in ("ok", "IMAGE_TOO_LARGE") or "thousand" in case.name:
            continue
        result = box.croft("image", "import", "evil", "-", stdin=case.build())
        assert result.rc == 1, (case.name, result)
        check_sentence(result.err, box.base)
        assert leaks.pool_images(box) == before, case.name
    assert [i["name"] for i in box.json_lines("image", "list")] == ["images/busybox"]


def test_tar_of_the_client_is_the_layout(box, tmp_path):
    """A directory and its tar are the same image."""
    archive = oci(busybox_layer(), run=RUN)
    with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
        packed.extractall(tmp_path / "layout")
    box.ok("image", "import", "a", "-", stdin=archive)
    box.ok("image", "import", "b", str(tmp_path / "layout"))
    a, b = box.json("image", "show", "a"), box.json("image", "show", "b")
    for field in ("application", "entries", "size_bytes", "stop_signal"):
        assert a[field] == b[field]
    (tmp_path / "empty").mkdir()
    box.refused("image", "import", "c", str(tmp_path / "empty"), match="layout")


# --- aliases -------------------------------------------------------------------------------


class TestAliases:
    def images(self, box):
        for number in (1, 2):
            box.ok("image", "import", f"deb-{number}", "-", "--init", "/bin/sleep",
                   stdin=busybox_layer(entry("number", b"%d" % number)))

    def test_a_name_that_moves(self, box):
        self.images(box)
        box.tenant()
        assert box.json("image", "alias", "deb-1", "deb")["aliases"] == ["deb"]
        assert box.json("image", "show", "deb")["name"] == "images/deb-1"
        box.launch("acme/one", image="deb", init=["/bin/sleep", "1000"])
        assert box.info("acme/one")["image"] == "images/deb-1"
        box.ok("image", "alias", "deb-2", "deb")
        assert "aliases" not in box.json("image", "show", "deb-1")
        box.launch("acme/two", image="deb", init=["/bin/sleep", "1000"])
        assert box.sh("acme/two", "cat /number") == "2"
        # What was made from the other stays with it.
        box.ok("stop", "--timeout", "0", "acme/one")
        box.ok("start", "acme/one")
        assert box.sh("acme/one", "cat /number") == "1"
        assert [e["type"] for e in box.events() if "alias" in e["type"]] == [
            "image.alias_set", "image.alias_set"]

    def test_refusals(self, box):
        self.images(box)
        box.ok("image", "alias", "deb-1", "deb")
        box.refused("image", "alias", "deb-1", "deb-2", match="deb-2")
        box.refused("image", "alias", "nothing", "x", match="nothing")
        box.refused("image", "alias", "deb-1", "No Name", match="No Name")
        box.refused("image", "unalias", "nothing", match="nothing")
        box.refused("image", "import", "deb", "-", stdin=tar(directory("etc")), match="alias")
        box.refused("image", "delete", "deb", match="deb-1")
        for number in range(31):
            box.ok("image", "alias", "deb-1", f"a{number}")
        box.refused("image", "alias", "deb-1", "one-more", match="32")
        box.ok("image", "alias", "deb-1", "a0")
        box.tenant()
        box.ok("tenant", "bind", "acme", "12345")
        for command in (("alias", "deb-1", "mine"), ("unalias", "deb")):
            assert box.croft("image", *command, uid=12345).rc == 1

    def test_they_outlive_the_daemon_and_go_with_the_image(self, box):
        self.images(box)
        box.ok("image", "alias", "deb-1", "deb")
        box.ok("image", "alias", "deb", "debian")
        box.ok("image", "alias", "deb-2", "other")
        box.kill9("croftd")
        box.revive()
        assert box.json("image", "show", "debian")["aliases"] == ["deb", "debian"]
        box.ok("image", "unalias", "deb")
        box.refused("image", "show", "deb", match="deb")
        box.ok("image", "delete", "deb-1")
        box.refused("image", "show", "debian", match="debian")
        assert box.json("image", "show", "other")["name"] == "images/deb-2"
        box.ok("image", "alias", "deb-2", "debian")

    def test_a_request_is_repeated_safely(self, box):
        self.images(box)
        request = {"name": "images/deb-1", "alias": "deb",
                   "request_id": "7f3e2a10-0000-4000-8000-000000000001"}
        with box.api() as api:
            first = api.call("Images/SetImageAlias", request)
            assert first["aliases"] == ["deb"]
            box.ok("image", "alias", "deb-2", "deb")
            assert api.call("Images/SetImageAlias", request) == first
        assert box.json("image", "show", "deb")["name"] == "images/deb-2"


# --- crashes -------------------------------------------------------------------------------


def cut(archive):
    """In two, within the last entry: the marks of the end and the padding behind it are zeroes, and
    whoever has seen those is done."""
    at = len(archive.rstrip(b"\0")) - 1
    return archive[:at], archive[at:]


def begin_import(box, archive, name="slow"):
    """An import that has got all but the end of its archive."""
    child = subprocess.Popen(
        [program("croft"), "--host", box.host, "image", "import", name, "-"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    child.stdin.write(cut(archive)[0])
    child.stdin.flush()
    return child


def check_nothing_is_left(box):
    wait_until("what was half made is gone",
               lambda: leaks.pool_images(box) == {"images/busybox"})
    wait_until("its name is free", lambda: box.croft(
        "image", "import", "slow", "-", stdin=tar(directory("etc"))).rc == 0)
    assert leaks.pool_images(box) == {"images/busybox", "images/slow"}


@pytest.mark.parametrize("archive", ["plain", "layers"])
@pytest.mark.parametrize("killed", [("supervisor",), ("croftd",), ("croftd", "supervisor")])
def test_kill_9_in_the_middle(box, killed, archive):
    layer = busybox_layer()
    child = begin_import(box, layer if archive == "plain" else docker(layer, run=RUN))
    wait_until("it is being unpacked", lambda: "incoming/slow" in leaks.pool_images(box))
    for which in killed:
        box.kill9(which)
    child.stdin.close()
    child.stdin = None
    _, error = child.communicate(timeout=60)
    assert child.returncode == 1, error
    box.restart(*killed)
    check_nothing_is_left(box)


def test_kill_9_at_the_end(box):
    """Between the image in the pool and its row."""
    archive = oci(busybox_layer(), run=RUN)
    for delay in (0, 0.002, 0.005, 0.01, 0.02, 0.04):
        child = begin_import(box, archive)
        wait_until("it is being unpacked", lambda: "incoming/slow" in leaks.pool_images(box))
        child.stdin.write(cut(archive)[1])
        child.stdin.close()
        child.stdin = None
        time.sleep(delay)
        box.kill9("croftd")
        child.communicate(timeout=60)
        box.restart("croftd")
        if box.croft("image", "show", "slow").rc == 0:
            assert "images/slow" in leaks.pool_images(box)
        else:
            check_nothing_is_left(box)
        box.ok("image", "delete", "slow")


# --- LXD and Incus -------------------------------------------------------------------------

# What `lxc image export` gives, after LXD's documentation of its image format.
METADATA = entry("metadata.yaml", b"""architecture: x86_64
creation_date: 1700000000
properties:
  description: Busybox
  os: busybox
templates:
  /etc/hostname:
    when: [create, copy]
    template: hostname.tpl
""")
TEMPLATES = (directory("templates"), entry("templates/hostname.tpl", b"{{ container.name }}\n"))


def lxd_rootfs(prefix=""):
    """(member, data) of a root file system that boots, below prefix."""
    with open("/bin/busybox", "rb") as f:
        data = f.read()
    return [directory(prefix or "./"), directory(f"{prefix}bin"), directory(f"{prefix}sbin"),
            entry(f"{prefix}bin/busybox", data, mode=0o755),
            *[symlink(f"{prefix}bin/{name}", "busybox") for name in APPLETS],
            hardlink(f"{prefix}bin/again", f"{prefix}bin/busybox"),
            symlink(f"{prefix}sbin/init", "../bin/busybox"),
            directory(f"{prefix}etc"), entry(f"{prefix}etc/inittab", b"::sysinit:/bin/true\n")]


def check_lxd(box, name):
    shown = box.json("image", "show", name)
    assert shown["init"] == "/sbin/init" and shown["stop_signal"] == 12
    box.launch(f"acme/{name}", image=name)
    assert box.sh(f"acme/{name}", "cat /proc/1/comm").strip() == "init"
    listed = box.sh(f"acme/{name}", "ls /").split()
    assert "sbin" in listed and not {"rootfs", "templates", "metadata.yaml"} & set(listed)


def test_lxd_unified_and_split(box, tmp_path):
    box.tenant()
    unified = gzip.compress(tar(METADATA, *lxd_rootfs("rootfs/"), *TEMPLATES))
    box.ok("image", "import", "unified", "-", stdin=unified)
    check_lxd(box, "unified")
    metadata, rootfs = tmp_path / "meta.tar.gz", tmp_path / "rootfs.tar"
    metadata.write_bytes(gzip.compress(tar(METADATA, *TEMPLATES)))
    rootfs.write_bytes(tar(*lxd_rootfs()))
    box.ok("image", "import", "split", str(metadata), str(rootfs))
    check_lxd(box, "split")
    box.refused("image", "import", "x", str(metadata), match="half")
    box.refused("image", "import", "x", str(rootfs), str(metadata), match="metadata")
    rootfs.write_bytes(b"hsqs" + random.Random(1).randbytes(5000))
    box.refused("image", "import", "y", str(metadata), str(rootfs), match="sqfs2tar")
    assert box.croft("image", "import", "y", str(metadata), "-").rc == 2


# --- what other tools write ----------------------------------------------------------------


@pytest.mark.parametrize("archive", [
    "layout", "skopeo-docker.tar", "skopeo-oci.tar", "skopeo-zstd.tar", "podman-docker.tar",
    "podman-oci.tar", "podman-two.tar"])
def test_other_tools(box, app_images, archive):
    """The same image by umoci, skopeo and podman."""
    options = ["--reference", "example.org/app:v1"] if archive == "podman-two.tar" else []
    path = os.path.join(app_images, archive)
    if options:
        message = box.refused("image", "import", "app", path, match="--reference")
        assert re.search(r"example\.org/only:v1", message)
    box.ok("image", "import", "app", path, *options)
    box.tenant()
    check_app(box, launch_app(box))
    assert box.sh("acme/app", "cat /etc/version /etc/version-too") == "second\nsecond\n"
    listed = box.sh("acme/app", "ls -a / /etc /old")
    assert "gone" not in listed and "deep" not in listed and ".wh." not in listed
    box.ok("stop", "acme/app")
    assert box.info("acme/app")["run"]["exit"] == {"kind": "EXITED", "status": 7}


@pytest.mark.parametrize("archives", [["published.tar.gz"], ["halves", "halves.root"]],
                         ids=["published", "halves"])
def test_exports_of_lxd(box, lxd_images, archives):
    """`lxc image export`: of a container that LXD published, and of an image in two halves."""
    box.ok("image", "import", "web", *[os.path.join(lxd_images, name) for name in archives])
    box.tenant()
    box.launch("acme/web", image="web")
    assert box.sh("acme/web", "cat /www/page; wget -qO- 127.0.0.1/page") == (
        "a page from inside\n" * 2)
    if archives == ["published.tar.gz"]:
        assert box.sh("acme/web", "stat -c '%u:%g %a' /srv/deep/note; cat /srv/deep/note") == (
            "1000:1001 640\nput there by LXD\n")
    box.ok("stop", "acme/web")
