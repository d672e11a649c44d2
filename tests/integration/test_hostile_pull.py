"""What a container sends to `croft pull` is its tenant's to make up: here it is made up."""

import concurrent.futures
import contextlib
import os
import tarfile

import grpc
import pytest

from croft_harness import check_sentence, program, run_program
from grpc_wire import message
from hostile_tars import directory, entry, tar

PULL = "/croft.v1.Containers/PullFiles"


@pytest.fixture
def sends(tmp_path):
    """Serves that archive, whatever is asked for; gives the address."""
    with contextlib.ExitStack() as stack:
        def serve(archive):
            answer = message("croft.v1.PullFilesResponse")(data=archive).SerializeToString()
            handler = grpc.unary_stream_rpc_method_handler(
                lambda request, context: iter([answer]))

            class Handlers(grpc.GenericRpcHandler):
                def service(self, call):
                    return handler if call.method == PULL else None

            server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
            stack.callback(lambda: server.stop(None).wait())
            server.add_generic_rpc_handlers((Handlers(),))
            address = f"unix:{tmp_path}/socket"
            server.add_insecure_port(address)
            server.start()
            return address

        yield serve


def pull(address, *words):
    return run_program([program("croft"), "--host", address, "pull", *words])


@pytest.fixture
def home(tmp_path):
    """Where somebody pulls to, and has files of their own."""
    path = tmp_path / "home"
    (path / ".ssh").mkdir(parents=True)
    (path / ".bashrc").write_text("mine\n")
    return path


def files(path):
    return sorted(os.path.relpath(os.path.join(folder, name), path)
                  for folder, _, names in os.walk(path) for name in names)


def test_names_are_those_that_were_asked_for(sends, home):
    address = sends(tar(entry(".bashrc", b"evil\n")))
    result = pull(address, "acme/web:/root/report.txt", str(home))
    assert result.rc == 0, result
    assert (home / ".bashrc").read_text() == "mine\n"
    assert (home / "report.txt").read_text() == "evil\n"
    assert files(home) == [".bashrc", "report.txt"]


def test_a_directory_of_the_receivers_is_not_entered(sends, home):
    address = sends(tar(directory(".ssh"), entry(".ssh/authorized_keys", b"evil\n")))
    assert pull(address, "acme/web:/root/data/", str(home)).rc == 0
    assert files(home) == [".bashrc", "data/authorized_keys"]


def test_what_was_asked_for_is_no_link(sends, home, tmp_path):
    """The next pull to that place would go through it."""
    address = sends(tar(entry("data", type=tarfile.SYMTYPE, linkname=str(home / ".ssh"))))
    for target in (str(home), str(tmp_path / "data")):
        result = pull(address, "acme/web:/srv/data", target)
        assert result.rc == 1 and "symbolic link" in result.err, result
    assert not os.path.lexists(tmp_path / "data") and not os.path.lexists(home / "data")


@pytest.mark.parametrize("path", ["/", "/root/..", "/root/."])
def test_a_path_without_a_name_is_not_pulled(sends, home, path):
    result = pull(sends(tar(entry(".bashrc", b"evil\n"))), f"acme/web:{path}", str(home))
    assert result.rc == 2 and "does not end in a name" in result.err, result
    assert files(home) == [".bashrc"]


def test_names_do_not_write_to_the_terminal(sends, home):
    address = sends(tar(entry("\x1b]0;evil\x07/../x", b"evil\n")))
    result = pull(address, "acme/web:/root/report.txt", str(home))
    assert result.rc == 1
    check_sentence(result.err, str(home))
