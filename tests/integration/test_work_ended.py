"""What moves or copies files on a tenant's behalf, and whose client keeps it waiting, ends when the
tenant is suspended or deleted, or the host is left: it keeps nobody from any of these."""

import contextlib
import os

import pytest

from croft_harness import PATIENCE, wait_until
from export_kinds import left_in_pool, pool

BIG = 8 << 20  # more than pipes and sockets hold, and no pattern that could be packed


@contextlib.contextmanager
def endless(box, file, *words):
    """A client that sends the beginning of a file, and then nothing."""
    reader, writer = os.pipe()
    with box.background(*words, "-", stdin=reader) as client:
        os.close(reader)
        try:
            os.write(writer, file.read_bytes()[:65536])
            yield client
        finally:
            os.close(writer)


@contextlib.contextmanager
def under_way(box, tmp_path, tenant="acme"):
    """An import and an export of the tenant, both waiting for their clients."""
    web = f"{tenant}/web"
    box.launch(web)
    file = tmp_path / "file"
    box.ok("export", web, str(file), timeout=120)
    box.sh(web, f"head -c {BIG} /dev/urandom >/big")
    with endless(box, file, "import", f"{tenant}/second") as importing:
        wait_until("it is being unpacked", lambda: left_in_pool(box, tenant), seconds=30)
        with box.background("export", web, "-") as exporting:
            assert exporting.stdout.read(1)
            wait_until("it is being packed", lambda: any(
                n.startswith(tenant.encode()) for n in left_in_pool(box)), seconds=30)
            yield importing, exporting


def ended(client):
    """It was told why."""
    _, error = client.communicate(timeout=60 * PATIENCE)
    assert client.returncode == 1, error
    assert b"ended on the way, as its tenant is suspended or deleted" in error, error


@pytest.mark.vm
def test_suspended_with_its_tenant(box, tmp_path):
    """It would stand still in the tenant's cgroup, and could not even be deleted with it."""
    box.tenant()
    with under_way(box, tmp_path) as clients:
        box.ok("tenant", "suspend", "acme", "--reason", "abuse")
        for client in clients:
            ended(client)
    wait_until("nothing is left of them", lambda: not left_in_pool(box, "acme"), seconds=30)
    assert [c["name"] for c in box.json_lines("list")] == ["tenants/acme/containers/web"]
    # The operator can still have it as a file, and then it goes.
    box.ok("export", "acme/web", str(tmp_path / "kept"), timeout=120)
    box.ok("tenant", "delete", "--force", "acme", timeout=60)


def test_deleted_with_its_tenant(box, tmp_path):
    box.tenant()
    with under_way(box, tmp_path) as clients:
        box.refused("tenant", "delete", "acme", match="2 containers")
        box.ok("tenant", "delete", "--force", "acme", timeout=60)
        for client in clients:
            ended(client)
    wait_until("nothing is left of them", lambda: not left_in_pool(box), seconds=30)
    assert box.json_lines("tenant", "list") == []


def test_the_host_is_left(fresh_box, tmp_path):
    """Whatever tenants and operators keep open, on whose behalf ever."""
    box = fresh_box
    box.tenant()
    with under_way(box, tmp_path) as clients, \
            endless(box, tmp_path / "file", "image", "import", "endless") as importing:
        wait_until("the image is being made", lambda: b"endless" in os.listdir(
            pool(box, "incoming")), seconds=30)
        box.shutdown()
        for client in (*clients, importing):
            _, error = client.communicate(timeout=60 * PATIENCE)
            assert client.returncode == 1 and error
    assert "host-shutdown-incomplete" not in box.read_log()


def test_users_of_a_suspended_tenant(box, tmp_path):
    """The work would be done outside the tenant's cgroup, which is frozen, and on no bill."""
    box.tenant()
    box.ok("tenant", "bind", "acme", "4321")
    box.launch("acme/web")
    file = tmp_path / "file"
    box.ok("export", "acme/web", str(file), timeout=120)
    data = file.read_bytes()

    def commands(n):
        return [
            (("import", f"acme/imported{n}", "-"), data),
            (("export", "acme/web", "-"), b""),
            (("copy", "acme/web", f"acme/copied{n}"), b""),
            (("snapshot", "create", "acme/web", f"snap{n}"), b""),
            (("snapshot", "restore", "acme/still", "first"), b""),
        ]

    box.ok("create", "busybox", "acme/still", uid=4321)
    box.ok("snapshot", "create", "acme/still", "first", uid=4321)
    for words, stdin in commands(1):
        assert box.croft(*words, uid=4321, stdin=stdin, timeout=120).rc == 0, words
    before = box.json_lines("list")
    box.ok("tenant", "suspend", "acme", "--reason", "unpaid")
    for words, stdin in commands(2):
        box.refused(*words, uid=4321, stdin=stdin, match=r"suspended \(operator\)")
    assert len(box.json_lines("list")) == len(before)
    # Nothing is made for it, whoever asks; its files are there for operators.
    for words, stdin in commands(3):
        if words[0] in ("import", "copy"):
            box.refused(*words, stdin=stdin, match=r"suspended \(operator\)")
        else:
            assert box.croft(*words, stdin=stdin, timeout=120).rc == 0, words


def test_croftd_ends_well_while_a_stop_is_waited_for(box):
    """By a container that does not heed it: who waits is answered last of all."""
    box.tenant()
    box.launch("acme/web", init=["/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done"])
    pid = box.pids["croftd"]
    with box.background("stop", "acme/web", "--timeout", "60"):
        wait_until("it is asked", lambda: box.info("acme/web")["state"] == "STOPPING")
        box.terminate("croftd")
        assert box.reaper.status(pid) == "exited 0"
    box.restart("croftd")
    box.wait_ready()
    box.ok("kill", "acme/web")
