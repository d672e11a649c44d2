"""One command that is signalled without end: the supervisor, who serves all tenants, is asked for
one signal at a time."""

import os
import signal

import pytest

import grpc_wire
from croft_harness import PATIENCE

SIGNALS = 100000  # more than croftd would keep for a supervisor that does not keep up


@pytest.fixture
def two(box):
    for name in ("acme", "other"):
        box.tenant(name)
        box.launch(f"{name}/web")
    return box


def request(**fields):
    return grpc_wire.frame(grpc_wire.message("croft.v1.ExecRequest")(**fields).SerializeToString())


def start(conn, name, *args):
    """The stream of a command that has begun."""
    stream = conn.headers({":path": "/croft.v1.Containers/Exec"})
    conn.data(stream, request(start={"name": f"tenants/{name}/containers/web", "args": args}))
    conn.receive(lambda: conn.streams[stream]["data"])
    return stream


def send_as_taken(conn, stream, data, seconds):
    """As much as the server takes, waiting so long for it to take more; returns what is left."""
    while data:
        conn.receive_for(seconds, lambda: conn.h2.local_flow_control_window(stream) > 0)
        room = min(conn.h2.local_flow_control_window(stream), 16384)
        if room <= 0:
            break
        conn.data(stream, data[:room])
        data = data[room:]
    return data


def test_signals_without_end(two):
    """While the supervisor stands still nobody else's requests are refused for them."""
    one = request(signal=signal.SIGURG)  # ignored, where it is not asked for
    with grpc_wire.raw(two.socket) as conn:
        stream = start(conn, "acme", "/bin/sleep", "1000")
        os.kill(two.pids["supervisor"], signal.SIGSTOP)
        try:
            left = send_as_taken(conn, stream, one * SIGNALS, 1)
            assert left, "all were taken while none could be delivered"
            with two.background_exec("other/web", "/bin/echo", "hello") as child:
                # It has been asked for by then: a refusal would come at once.
                conn.receive_for(1)
                assert child.poll() is None, child.communicate()
                os.kill(two.pids["supervisor"], signal.SIGCONT)
                out, err = child.communicate(timeout=30)
                assert (child.returncode, out) == (0, b"hello\n"), err
        finally:
            os.kill(two.pids["supervisor"], signal.SIGCONT)
        whole = len(left) % len(one)
        assert not send_as_taken(conn, stream, left[:whole] + request(signal=signal.SIGTERM),
                                 grpc_wire.WAIT * PATIENCE)
        assert conn.reply(stream)["status"] == 0
