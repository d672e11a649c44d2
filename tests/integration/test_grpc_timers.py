"""Connections that only cost: idle ones, and clients that do not read what they asked for. The
timers are croftd's own, with other figures, so that a test need not wait for ten minutes."""

import select
import time

import h2.settings
import pytest

import grpc_wire
from grpc_wire import Client, Raw, frame, message

IDLE, WRITE = 2, 2
TENANT = b"\x0a\x09tenants/a"
HANG = b"\x0a\x0ctenants/hang"
WINDOW = 2**31 - 1


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    arguments = [f"idle:{IDLE}", f"write:{WRITE}"]
    with grpc_wire.running(tmp_path_factory.mktemp("grpc"), arguments=arguments) as s:
        yield s


class Reader(Raw):
    """Asks for more than any buffer holds, with windows that never stop the server."""

    def __init__(self, path):
        super().__init__(path, handshake=False)
        self.h2.initiate_connection()
        self.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: WINDOW})
        self.h2.increment_flow_control_window(WINDOW - 65535)
        self.flush()
        logs = message("croft.v1.GetLogsRequest")(name="x", tail_bytes=1 << 40)
        stream = self.headers({":path": "/croft.v1.Containers/GetLogs"})
        self.data(stream, frame(logs.SerializeToString()), end=True)

    def take(self, size):
        """Reads so many bytes; fewer when it is hung up on."""
        left = size
        while left:
            if not select.select([self.sock], [], [], grpc_wire.WAIT)[0]:
                break
            data = self.sock.recv(min(left, 65536))
            if not data:
                break
            left -= len(data)
        return size - left


def test_a_reader_that_stalls_is_dropped(server):
    with server.channel() as channel:
        client = Client(channel)
        before = client.host_info()
        reader = Reader(server.path)
        start = time.monotonic()
        client.wait_for(lambda info: info.tenants == before.tenants + 1)
        info = client.wait_for(lambda info: info.tenants == before.tenants)
        assert info.containers == before.containers + 1  # its call was cancelled
        # Not before; how long after is the host's affair, within what wait_for() allows.
        assert time.monotonic() - start > WRITE - 0.5
        reader.close()


def test_a_slow_reader_is_not(server):
    """Some 200 KiB a second, for several times what a reader may stall."""
    with server.channel() as channel:
        client = Client(channel)
        before = client.host_info()
        reader = Reader(server.path)
        client.wait_for(lambda info: info.tenants == before.tenants + 1)
        start = time.monotonic()
        taken = 0
        while time.monotonic() - start < 4 * WRITE:
            assert reader.take(64 << 10) == 64 << 10
            taken += 64 << 10
            # The pace is the point: much slower than the server would send.
            time.sleep(0.3)
        assert taken < 4 << 20
        assert client.host_info().tenants == before.tenants + 1
        reader.close()
        client.wait_for(lambda info: info.tenants == before.tenants)


def test_an_idle_connection_is_ended_in_order(server):
    with grpc_wire.raw(server.path) as connection:
        assert connection.call(frame(TENANT))["status"] == 0
        start = time.monotonic()
        assert connection.wait_closed()
        assert time.monotonic() - start >= IDLE - 1
        assert connection.goaway == 0


def test_one_with_a_call_is_not_idle(server):
    """Neither one whose call only waits, nor one that calls now and then."""
    with grpc_wire.raw(server.path) as waiting, grpc_wire.raw(server.path) as busy:
        stream = waiting.headers()
        waiting.data(stream, frame(HANG), end=True)
        start = time.monotonic()
        while time.monotonic() - start < 3 * IDLE:
            assert busy.call(frame(TENANT))["status"] == 0
            waiting.receive_for(IDLE / 4)
            assert not waiting.closed and waiting.goaway is None
