"""push and pull: files go in and come out whole; what a tenant plants leads nowhere."""

import base64
import io
import os
import tarfile

import grpc
import pytest

from croft_harness import wait_until


MIB = 1 << 20


@pytest.fixture
def web(box):
    box.tenant()
    box.launch("acme/web")
    return box


def chunks(name, path, data, size=65536):
    yield {"start": {"name": name, "path": path}}
    for at in range(0, len(data), size):
        yield {"data": base64.b64encode(data[at:at + size]).decode()}


def archive(*entries):
    """A tar of (name, type, content or target)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, content in entries:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind == tarfile.REGTYPE:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            else:
                info.linkname = content or ""
                tar.addfile(info)
    return out.getvalue()


class TestPush:
    @pytest.mark.vm
    def test_file_and_directory(self, web, tmp_path):
        (tmp_path / "dir" / "sub").mkdir(parents=True)
        (tmp_path / "dir" / "sub" / "script").write_bytes(b"#!/bin/sh\necho ran\n")
        (tmp_path / "dir" / "sub" / "script").chmod(0o4755)
        (tmp_path / "dir" / "link").symlink_to("sub/script")
        os.mkfifo(tmp_path / "dir" / "pipe")
        data = os.urandom(3 * MIB + 17)
        (tmp_path / "file").write_bytes(data)

        web.ok("push", str(tmp_path / "file"), "acme/web:/tmp")
        web.ok("push", str(tmp_path / "file"), "acme/web:/tmp/other")
        assert web.exec("acme/web", "/bin/cat", "/tmp/file").raw == data
        assert web.exec("acme/web", "/bin/cat", "/tmp/other").raw == data
        result = web.croft("push", str(tmp_path / "dir"), "acme/web:/box")
        assert result.rc == 0 and "left out dir/pipe: a FIFO" in result.err, result
        # There was no /box: it has become the directory. Now there is: it goes into it.
        assert web.sh("acme/web", "/box/link") == "ran\n"
        web.ok("push", str(tmp_path / "dir"), "acme/web:/box")
        assert web.sh("acme/web", "/box/dir/sub/script") == "ran\n"
        # The container's root owns it, without the bits that would lend it to others.
        assert web.sh("acme/web", "stat -c '%u %g %a' /box/sub/script") == "0 0 755\n"

    def test_refusals(self, web, tmp_path):
        (tmp_path / "file").write_bytes(b"x")
        file = str(tmp_path / "file")
        web.refused("push", file, "acme/web:/no/such/dir", match="no directory /no/such")
        web.refused("push", file, "acme/web:/no/", match="no directory")
        web.refused("push", file, "acme/none:/tmp", match="no container")
        web.refused("push", str(tmp_path / "missing"), "acme/web:/tmp", match="No such file")
        for place in ("acme/web", "acme/web:relative", "acme:/tmp"):
            assert web.croft("push", file, place).rc == 2
        web.ok("stop", "--timeout", "0", "acme/web")
        web.refused("push", file, "acme/web:/tmp", match="start it first")

    def test_planted_links_lead_nowhere(self, web, tmp_path):
        (tmp_path / "dir").mkdir()
        (tmp_path / "dir" / "passwd").write_bytes(b"evil")
        web.sh("acme/web", "mkdir -p /box/dir; cp /etc/passwd /keep; ln -s /keep /box/dir/passwd")
        before = web.sh("acme/web", "cat /keep")
        web.ok("push", str(tmp_path / "dir"), "acme/web:/box")
        assert web.sh("acme/web", "cat /keep; cat /box/dir/passwd") == before + "evil"
        web.sh("acme/web", "rm -r /box/dir; ln -s /etc /box/dir")
        web.refused("push", str(tmp_path / "dir"), "acme/web:/box", match="directory on the way")
        assert "evil" not in web.sh("acme/web", "cat /etc/passwd")

    def test_disk_that_fills(self, box, tmp_path):
        box.tenant()
        box.launch("acme/web", disk="64MiB")
        (tmp_path / "big").write_bytes(os.urandom(96 * MIB))
        box.refused("push", str(tmp_path / "big"), "acme/web:/big", match="no room", timeout=120)
        assert box.sh("acme/web", "ls -A / | grep -c croft- || true") == "0\n"

    def test_hostile_archives(self, web):
        with web.api() as api:
            def push(data, path="/box"):
                api.stream("Containers/PushFiles", chunks(
                    "tenants/acme/containers/web", path, data))

            web.sh("acme/web", "mkdir /box")
            push(archive(("good", tarfile.REGTYPE, b"x")))
            for bad in (
                archive(("../out", tarfile.REGTYPE, b"x")),
                archive(("/out", tarfile.REGTYPE, b"x")),
                archive(("l", tarfile.SYMTYPE, "/"), ("l/out", tarfile.REGTYPE, b"x")),
                archive(("dev", tarfile.CHRTYPE, None)),
                archive(("hard", tarfile.LNKTYPE, "/etc/passwd")),
                archive(("cut", tarfile.REGTYPE, b"x" * 5000))[:2000],
                b"garbage" * 1000,
                b"",
            ):
                with pytest.raises(grpc.RpcError) as e:
                    push(bad)
                assert e.value.code() in (grpc.StatusCode.INVALID_ARGUMENT,
                                          grpc.StatusCode.FAILED_PRECONDITION), e.value
            assert web.sh("acme/web", "ls -A / | grep -c '^out$' || true") == "0\n"
            assert web.sh("acme/web", "ls -A /box") == "good\nl\n"

    def test_client_that_leaves(self, web):
        """What is left of a push in the container goes with its client."""
        def slow():
            yield from chunks("tenants/acme/containers/web", "/box",
                              archive(("f", tarfile.REGTYPE, b"x" * 50000))[:20000])
            wait_until("it is begun", lambda: "croft-files" in web.sh("acme/web", "ps"))
            wait_until("the file is begun", lambda: ".croft-" in web.sh("acme/web", "ls -A /box"))
            raise EOFError("the client breaks off")

        web.sh("acme/web", "mkdir /box")
        with web.api() as api, pytest.raises(grpc.RpcError):
            api.stream("Containers/PushFiles", slow())
        wait_until("it has ended", lambda: "croft-files" not in web.sh("acme/web", "ps"))
        assert web.sh("acme/web", "ls -A /box") == ""

    def test_is_held_and_billed_as_the_container(self, web, tmp_path):
        """The work is done in the container's cgroup: its CPU time is on the container."""
        (tmp_path / "big").write_bytes(bytes(64 * MIB))
        cgroup = web.cgroup("acme/web")
        before = cgroup.cpu_usec()
        web.ok("push", str(tmp_path / "big"), "acme/web:/big", timeout=120)
        assert cgroup.cpu_usec() > before + 5000
        web.ok("freeze", "acme/web")
        web.refused("push", str(tmp_path / "big"), "acme/web:/big", match="frozen")
        web.ok("thaw", "acme/web")


class TestPull:
    def test_file_directory_and_standard_output(self, web, tmp_path):
        web.sh("acme/web", "mkdir -p /box/a/b; head -c 2000000 /dev/urandom >/box/a/b/data; "
                           "ln -s b/data /box/a/link; chmod 4711 /box/a/b/data; mkfifo /box/a/p")
        data = web.exec("acme/web", "/bin/cat", "/box/a/b/data").raw
        web.ok("pull", "acme/web:/box/a", str(tmp_path))
        assert (tmp_path / "a" / "b" / "data").read_bytes() == data
        assert os.readlink(tmp_path / "a" / "link") == "b/data"
        assert (tmp_path / "a" / "b" / "data").stat().st_mode & 0o7777 == 0o711
        assert not (tmp_path / "a" / "p").exists()
        web.ok("pull", "acme/web:/box/a/link", str(tmp_path / "copy"))
        assert (tmp_path / "copy").read_bytes() == data
        assert web.croft("pull", "acme/web:/box/a/b/data", "-").raw == data
        web.refused("pull", "acme/web:/box/a", "-", match="not a file")
        web.refused("pull", "acme/web:/box/none", str(tmp_path), match="no file /box/none")
        web.refused("pull", "acme/web:/box/a/p", str(tmp_path / "p"), match="neither a file")

    def test_what_is_left_out_is_told(self, web, tmp_path):
        web.sh("acme/web", "mkdir -p /box/a; echo text >/box/f; "
                           "i=0; while [ $i -lt 12 ]; do mkfifo /box/a/p$i; i=$((i+1)); done; "
                           "mkfifo \"/box/$(printf 'a\\033[31m\\377b')\"")
        result = web.croft("pull", "acme/web:/box", str(tmp_path))
        assert result.rc == 0 and (tmp_path / "box" / "f").read_bytes() == b"text\n", result
        lines = result.err.splitlines()
        assert len(lines) == 9 and lines[-1] == "croft: left out 13 in all", result
        assert all(" box/" in x and x.endswith(": a FIFO") for x in lines[:-1])
        assert "\033" not in result.err
        result = web.croft("pull", "acme/web:/dev/pts", str(tmp_path))
        assert result.rc == 0 and "left out pts/ptmx: a device" in result.err, result
        with web.api() as api:
            pulled = list(api.stream("Containers/PullFiles", {
                "name": "tenants/acme/containers/web", "path": "/box"}))
            assert [m.HasField("left_out") for m in pulled].index(True) == len(pulled) - 1, pulled
            said = pulled[-1].left_out
            assert said.count == 13 and len(said.first) == 8, said
            assert {x.what for x in said.first} == {"a FIFO"}, said
            whole = list(api.stream("Containers/PullFiles", {
                "name": "tenants/acme/containers/web", "path": "/box/f"}))
            assert not any(m.HasField("left_out") for m in whole), whole

    def test_files_of_the_kernel(self, web, tmp_path):
        """They say that they are empty, or larger than they are."""
        inside = web.sh("acme/web", "cat /proc/version /proc/1/status | head -3")
        version = web.croft("pull", "acme/web:/proc/version", "-").out
        status = web.croft("pull", "acme/web:/proc/1/status", "-").out
        assert version and (version + status).startswith(inside), (version, status)
        mtu = web.croft("pull", "acme/web:/sys/class/net/lo/mtu", "-")
        assert mtu.rc == 0 and mtu.out == web.sh("acme/web", "cat /sys/class/net/lo/mtu"), mtu
        web.refused("pull", "acme/web:/proc/1/mem", "-", match="mem: Input/output error")
        # None are made there, and that is what is said.
        (tmp_path / "note").write_text("hello")
        for path in ("/proc/x", "/proc/1", "/proc/sys/kernel/x"):
            web.refused(
                "push", str(tmp_path / "note"), f"acme/web:{path}", match="takes no files")
        # In a directory one of which nothing can be read is in nobody's way.
        result = web.croft("pull", "acme/web:/proc/1/task/1", str(tmp_path))
        assert result.rc == 0 and ": a file that cannot be read" in result.err, result
        assert (tmp_path / "1" / "comm").read_text() == web.sh("acme/web", "cat /proc/1/comm")

    def test_links_do_not_lead_out_of_the_target(self, web, tmp_path):
        """A tenant answers a pull with links; nothing beside the target is touched."""
        outside = tmp_path / "outside"
        outside.mkdir()
        (tmp_path / "to" / "a").mkdir(parents=True)
        (tmp_path / "to" / "a" / "d").symlink_to(outside)
        web.sh("acme/web", "mkdir -p /box/a/d; echo evil >/box/a/d/x")
        web.refused("pull", "acme/web:/box/a", str(tmp_path / "to"), match="on the way")
        assert list(outside.iterdir()) == []

    def test_as_an_ordinary_user_of_the_tenant(self, web, tmp_path):
        web.ok("tenant", "bind", "acme", "12345")
        web.sh("acme/web", "echo mine >/box")
        assert web.croft("pull", "acme/web:/box", "-", uid=12345).out == "mine\n"
        web.tenant("globex")
        web.launch("globex/web")
        web.refused("pull", "globex/web:/etc/passwd", "-", uid=12345, match="no tenant globex")

    def test_reader_that_stops_is_no_harm(self, web):
        web.sh("acme/web", "head -c 30000000 /dev/zero >/big")
        with web.api() as api:
            call = api.stream("Containers/PullFiles", {
                "name": "tenants/acme/containers/web", "path": "/big"})
            next(iter(call))
            call.cancel()
        wait_until("it has ended", lambda: "croft-files" not in web.sh("acme/web", "ps"))
        assert len(web.croft("pull", "acme/web:/big", "-", timeout=60).raw) == 30_000_000
