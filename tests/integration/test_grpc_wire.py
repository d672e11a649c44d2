"""Hostile and broken HTTP/2 against the gRPC server, by python3-h2. Each case checks the exact
answer, or that the connection is closed, and that the server then serves another client."""

import os
import socket
import subprocess
import time

import h2.errors
import h2.settings
import pytest

import grpc_wire
from grpc_wire import MESSAGE_MAX, WAIT, Client, frame, message

OK, INVALID, EXHAUSTED, UNIMPLEMENTED, INTERNAL = 0, 3, 8, 12, 13
DEADLINE = 4
TENANT = b"\x0a\x09tenants/a"  # GetTenantRequest{name: "tenants/a"}
HANG = b"\x0a\x0ctenants/hang"
# Frame types and flags, RFC 9113 section 6.
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, CONTINUATION = 0, 1, 2, 3, 4, 6, 9
ACK, END_STREAM, END_HEADERS = 1, 1, 4


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with grpc_wire.running(tmp_path_factory.mktemp("grpc")) as s:
        yield s


@pytest.fixture
def conn(server):
    """A raw connection; afterwards the server must serve others, and hold nothing of this one."""
    with grpc_wire.raw(server.path) as connection:
        yield connection
    with server.channel() as channel:
        client = Client(channel)
        assert client.get_tenant("tenants/others").name == "tenants/others"
        client.wait_for(lambda info: info.tenants == 0 and server.descriptors() < 20)


def test_a_correct_call(conn):
    reply = conn.call(frame(TENANT))
    assert (reply["http"], reply["status"]) == (200, OK)
    assert reply["headers"]["content-type"] == "application/grpc"
    assert reply["data"] == frame(TENANT)
    assert reply["reset"] is None


@pytest.mark.parametrize("content_type", [
    None, "application/json", "application/grpc-web", "application/grpc+json", "text/plain"])
def test_content_type(conn, content_type):
    reply = conn.call(frame(TENANT), {"content-type": content_type})
    assert (reply["http"], reply["status"]) == (415, INTERNAL)


@pytest.mark.parametrize("content_type", ["application/grpc+proto", "application/grpc;a=b"])
def test_content_type_variants(conn, content_type):
    assert conn.call(frame(TENANT), {"content-type": content_type})["status"] == OK


def test_te_missing(conn):
    reply = conn.call(frame(TENANT), {"te": None})
    assert (reply["http"], reply["status"]) == (400, INTERNAL)


def test_te_wrong(conn):
    """RFC 9113, 8.2.2: te may only say `trailers`; such a request is malformed."""
    assert conn.call(frame(TENANT), {"te": "gzip"})["reset"] == h2.errors.ErrorCodes.PROTOCOL_ERROR


@pytest.mark.parametrize("method", ["GET", "PUT", "OPTIONS"])
def test_method(conn, method):
    reply = conn.call(frame(TENANT), {":method": method})
    assert (reply["http"], reply["status"]) == (405, INTERNAL)


@pytest.mark.parametrize("path", [
    "/", "/croft.v1.Tenants", "/croft.v1.Tenants/", "/croft.v1.Tenants/gettenant",
    "/croft.v1.Tenants/GetTenant/", "/../croft.v1.Tenants/GetTenant", "/" + "x" * 4000,
    "/croft.v1.Plans/ListPlans"])
def test_unknown_path(conn, path):
    reply = conn.call(frame(TENANT), {":path": path})
    assert (reply["http"], reply["status"]) == (200, UNIMPLEMENTED)
    assert reply["data"] == b""


def test_missing_path(conn):
    reply = conn.call(frame(TENANT), {":path": None})
    assert reply["reset"] == h2.errors.ErrorCodes.PROTOCOL_ERROR


def test_uppercase_header(conn):
    reply = conn.call(frame(TENANT), {"X-Upper": "1"})
    assert reply["reset"] == h2.errors.ErrorCodes.PROTOCOL_ERROR


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "snappy", "br", ""])
def test_unknown_encoding(conn, encoding):
    reply = conn.call(frame(TENANT), {"grpc-encoding": encoding})
    assert (reply["http"], reply["status"]) == (200, UNIMPLEMENTED)
    assert reply["headers"]["grpc-accept-encoding"] == "identity"


def test_identity_encoding(conn):
    assert conn.call(frame(TENANT), {"grpc-encoding": "identity"})["status"] == OK


@pytest.mark.parametrize("encoding", [None, "identity"])
@pytest.mark.parametrize("flag", [1, 2, 255])
def test_flags(conn, flag, encoding):
    reply = conn.call(frame(TENANT, flag=flag), {"grpc-encoding": encoding})
    assert (reply["status"], reply["reset"]) == (INTERNAL, None)


@pytest.mark.parametrize("timeout", ["", "1", "S", "-1S", "1.5S", "123456789S", "1s", "1SS"])
def test_bad_timeout(conn, timeout):
    reply = conn.call(frame(TENANT), {"grpc-timeout": timeout})
    assert (reply["http"], reply["status"]) == (200, INVALID)


@pytest.mark.parametrize("timeout", ["1n", "0m", "100000u", "50m"])
def test_deadline_by_the_server(conn, timeout):
    reply = conn.call(frame(HANG), {"grpc-timeout": timeout})
    assert (reply["http"], reply["status"]) == (200, DEADLINE)


def test_deadline_before_the_request_is_complete(conn):
    stream = conn.headers({"grpc-timeout": "100m"})
    conn.data(stream, frame(TENANT)[:3])
    assert conn.reply(stream)["status"] == DEADLINE


def test_long_timeout(conn):
    assert conn.call(frame(TENANT), {"grpc-timeout": "99999999H"})["status"] == OK


@pytest.mark.parametrize("cut", range(1, len(frame(TENANT))))
def test_truncated_message(conn, cut):
    reply = conn.call(frame(TENANT)[:cut])
    assert (reply["status"], reply["data"]) == (INTERNAL, b"")


@pytest.mark.parametrize("cut", range(0, len(frame(TENANT)) + 1))
def test_data_borders_mean_nothing(conn, cut):
    stream = conn.headers()
    conn.data(stream, frame(TENANT)[:cut])
    conn.data(stream, b"")
    conn.data(stream, frame(TENANT)[cut:])
    conn.data(stream, b"", end=True)
    assert conn.reply(stream)["status"] == OK


@pytest.mark.parametrize("length", [MESSAGE_MAX + 1, 1 << 31, (1 << 32) - 1])
def test_oversized_length(server, conn, length):
    """Said at once, from the prefix; and the client is asked to stop (RST_STREAM NO_ERROR)."""
    before = server.resident_kib()
    stream = conn.headers()
    conn.data(stream, frame(b"", length=length))
    reply = conn.reply(stream)
    assert reply["status"] == EXHAUSTED
    conn.receive(lambda: conn.streams[stream]["reset"] is not None)
    assert conn.streams[stream]["reset"] == h2.errors.ErrorCodes.NO_ERROR
    server.check_growth(before, 1024)


def test_announced_bytes_cost_nothing(server, conn):
    """64 streams announce 4 MiB each, and send one byte."""
    before = server.resident_kib()
    streams = [conn.headers() for _ in range(64)]
    for stream in streams:
        conn.data(stream, frame(b"x", length=MESSAGE_MAX))
    conn.h2.ping(b"12345678")
    conn.flush()
    conn.receive(lambda: conn.h2.streams[streams[-1]].outbound_flow_control_window > 0)
    server.check_growth(before, 2048)
    for stream in streams:
        conn.h2.reset_stream(stream)
    conn.flush()


def test_no_message(conn):
    """One request and no other number: statuscodes.md calls the rest UNIMPLEMENTED."""
    assert conn.call(b"")["status"] == UNIMPLEMENTED
    stream = conn.headers(end=True)
    assert conn.reply(stream)["status"] == UNIMPLEMENTED


def test_two_messages(conn):
    assert conn.call(frame(TENANT) * 2)["status"] == UNIMPLEMENTED


def test_no_message_on_a_stream(conn):
    reply = conn.call(b"", {":path": "/croft.v1.Containers/Exec"})
    assert reply["status"] == UNIMPLEMENTED


def test_garbage_protobuf(conn):
    assert conn.call(frame(b"\xff" * 50))["status"] == INTERNAL
    assert conn.call(frame(b"\x0a\xff\xff\xff\xff\x0f"))["status"] == INTERNAL
    assert conn.call(frame(b"\x0a\x02\xff\xff"))["status"] == INVALID


def test_protobuf_bombs(server, conn):
    """4 MiB that would unpack to hundreds: refused before memory is taken."""
    before = server.resident_kib()
    path = "/croft.v1.Tenants/CreateTenant"
    bomb = b"\x78\x00" * (1 << 20)
    body = frame(bomb)
    stream = conn.headers({":path": path})
    sent = 0
    while sent < len(body) and not conn.streams[stream]["ended"]:
        window = min(conn.h2.local_flow_control_window(stream), 16384, len(body) - sent)
        if window == 0:
            conn.receive(lambda: conn.h2.local_flow_control_window(stream) > 0)
            continue
        conn.data(stream, body[sent:sent + window], end=sent + window == len(body))
        sent += window
    assert conn.reply(stream)["status"] == EXHAUSTED
    server.check_growth(before, 16 << 10)


def test_headers_too_large(conn):
    reply = conn.call(frame(TENANT), {"x-large": "x" * 8192})
    assert (reply["http"], reply["status"]) == (431, EXHAUSTED)
    reply = conn.call(frame(TENANT), {f"x-{i}": "y" * 40 for i in range(120)})
    assert (reply["http"], reply["status"]) == (431, EXHAUSTED)
    assert conn.call(frame(TENANT), {"x-large": "x" * 7000})["status"] == OK


def test_hpack_bomb(conn):
    """One entry of the table, referred to thousands of times in a small block."""
    encoder = conn.h2.encoder
    block = encoder.encode([*grpc_wire.Raw.HEADERS.items(), ("x-bomb", "y" * 3500)])
    bomb = bytes([0x80 | 62]) * 12000  # the newest entry of the dynamic table
    conn.raw_frame(HEADERS, END_HEADERS, 1, block + bomb)
    assert conn.wait_closed()


def test_too_many_streams(conn):
    conn.receive(lambda: conn.h2.remote_settings.max_concurrent_streams == 64)
    conn.h2.remote_settings[h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS] = 1000
    conn.h2.remote_settings.acknowledge()
    streams = [conn.headers() for _ in range(65)]
    for stream in streams[:-1]:
        conn.data(stream, frame(HANG), end=True)
    reply = conn.reply(streams[-1])
    assert reply["closed"] or reply["reset"] == h2.errors.ErrorCodes.REFUSED_STREAM


def test_rst_flood(conn):
    """Streams opened and reset at once ("rapid reset"): nghttp2's rate ends the connection."""
    for _ in range(5000):
        stream = conn.h2.get_next_available_stream_id()
        conn.h2.send_headers(stream, list(grpc_wire.Raw.HEADERS.items()))
        conn.h2.reset_stream(stream)
    conn.flush()
    assert conn.wait_closed()


def test_continuation_flood(conn):
    block = conn.h2.encoder.encode(list(grpc_wire.Raw.HEADERS.items()))
    conn.raw_frame(HEADERS, 0, 1, block)
    for i in range(1000):
        literal = b"\x10\x05" + f"x{i:04}".encode() + b"\x01y"
        conn.raw_frame(CONTINUATION, 0, 1, literal)
    assert conn.wait_closed()


def test_empty_continuation_flood(conn):
    block = conn.h2.encoder.encode(list(grpc_wire.Raw.HEADERS.items()))
    conn.raw_frame(HEADERS, 0, 1, block)
    for _ in range(5000):
        conn.raw_frame(CONTINUATION, 0, 1)
    assert conn.wait_closed()


@pytest.mark.parametrize("kind,stream,payload", [
    (SETTINGS, 0, b""),
    (PING, 0, b"12345678"),
    (PRIORITY, 1, b"\x00\x00\x00\x00\x01"),
    (0xbe, 0, b"unknown"),
], ids=["settings", "ping", "priority", "unknown"])
def test_control_flood(conn, kind, stream, payload):
    for _ in range(5000):
        conn.raw_frame(kind, 0, stream, payload)
    assert conn.wait_closed()


def test_empty_data_flood(conn):
    stream = conn.headers()
    for _ in range(5000):
        conn.raw_frame(DATA, 0, stream)
    assert conn.wait_closed()


def test_pings_of_a_working_client(conn):
    """Hundreds of PINGs among calls are no flood."""
    for _ in range(200):
        for _ in range(20):
            conn.h2.ping(b"abcdefgh")
        assert conn.call(frame(TENANT))["status"] == OK


def test_ping_flood_without_reading(server):
    """The answers would pile up: the connection is closed, or no longer read; nothing grows."""
    before = server.resident_kib()
    with grpc_wire.raw(server.path) as c:
        c.sock.settimeout(2)
        for _ in range(100):
            try:
                c.sock.sendall(b"\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678" * 1000)
            except (BrokenPipeError, ConnectionResetError, socket.timeout):
                break
        else:
            pytest.fail("100,000 PINGs were taken")
        server.check_growth(before, 4096)


def test_http1(server, conn):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(WAIT)
        s.connect(server.path)
        s.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        data = b""
        while chunk := s.recv(4096):
            data += chunk
        assert not data.startswith(b"HTTP/1")
    assert conn.call(frame(TENANT))["status"] == OK


@pytest.mark.parametrize("junk", [
    b"\x00" * 100, b"\xff" * 100, b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"])
def test_bad_preface(server, conn, junk):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(WAIT)
        s.connect(server.path)
        s.sendall(junk)
        while s.recv(4096):
            pass
    assert conn.call(frame(TENANT))["status"] == OK


def test_data_on_a_closed_stream(conn):
    """It may have been sent before the reset was seen, so it is dropped; but it is no answer's
    cause, and it does not use up the connection's window."""
    stream = conn.headers()
    conn.data(stream, frame(TENANT), end=True)
    assert conn.reply(stream)["status"] == OK
    for _ in range(80):  # 1.25 MiB; the window is 1 MiB
        conn.raw_frame(DATA, 0, stream, b"x" * 16384)
    assert conn.call(frame(TENANT))["status"] == OK
    assert conn.streams[stream]["data"] == frame(TENANT)


def test_data_after_half_close(conn):
    """The second DATA comes after END_STREAM while the call still runs."""
    stream = conn.headers()
    conn.data(stream, frame(HANG), end=True)
    conn.raw_frame(DATA, 0, stream, frame(TENANT))
    reply = conn.reply(stream)
    assert reply["closed"] or reply["reset"] == h2.errors.ErrorCodes.STREAM_CLOSED


def test_data_on_an_idle_stream(conn):
    conn.raw_frame(DATA, 0, 99, frame(TENANT))
    assert conn.wait_closed()


def test_frame_too_large(conn):
    conn.raw_frame(DATA, 0, 1, b"x" * 16385)
    assert conn.wait_closed()
    assert conn.goaway == h2.errors.ErrorCodes.FRAME_SIZE_ERROR


def test_window_overflow(conn):
    """A handler that takes nothing, and a client that sends beyond the window it was given."""
    request = message("croft.v1.ExecRequest")
    start = message("croft.v1.ExecStart")(name="tenants/a/containers/b", user="paused")
    stream = conn.headers({":path": "/croft.v1.Containers/Exec"})
    conn.data(stream, frame(request(start=start).SerializeToString()))
    for _ in range(17):  # 272 KiB, the window is 256
        conn.raw_frame(DATA, 0, stream, b"x" * 16384)
    reply = conn.reply(stream)
    assert reply["reset"] == h2.errors.ErrorCodes.FLOW_CONTROL_ERROR or conn.goaway is not None


def test_half_closed_connection(server, conn):
    """shutdown(SHUT_WR): nothing more can come, and the connection is closed."""
    stream = conn.headers()
    conn.data(stream, frame(HANG), end=True)
    conn.sock.shutdown(socket.SHUT_WR)
    assert conn.wait_closed()


def test_abrupt_close(server, conn):
    for _ in range(100):
        with grpc_wire.raw(server.path) as c:
            stream = c.headers()
            c.data(stream, frame(HANG)[:7])


def is_closed(sock):
    """Reads what is there."""
    try:
        while sock.recv(4096, socket.MSG_DONTWAIT):
            pass
    except BlockingIOError:
        return False
    return True


def test_slow_peers(server, conn):
    """A preface is given 10 seconds; a block of headers 20, also when a byte comes now and then."""
    start = time.monotonic()
    block = conn.h2.encoder.encode(list(grpc_wire.Raw.HEADERS.items()))
    block += b"\x00\x01x\x7f\x80\x07"  # a header of 1023 bytes begins
    conn.raw_frame(HEADERS, 0, 1, block, len(block) + 1023)
    with socket.socket(socket.AF_UNIX) as silent, server.channel() as channel:
        silent.connect(server.path)
        silent.sendall(b"PRI * HTTP")
        silent_for = None
        while not conn.closed and time.monotonic() - start < 2 * WAIT:
            conn.send_bytes(b"y")
            conn.receive_for(0.5)
            if silent_for is None and is_closed(silent):
                silent_for = time.monotonic() - start
            assert Client(channel).get_tenant("tenants/others").name == "tenants/others"
    took = time.monotonic() - start
    # Not before their time, and the one with the shorter time first; a busy host is late for both.
    assert silent_for > 8 and conn.closed and took > 17
    assert silent_for < took - 3


def hold_bytes(path):
    """40 calls of 3 MiB each that are not complete, over 4 connections: how many are refused."""
    body = frame(b"", length=MESSAGE_MAX) + b"x" * (3 << 20)
    connections = [grpc_wire.Raw(path) for _ in range(4)]
    refused = 0
    for c in connections:
        sent = {c.headers({":path": "/croft.v1.Tenants/CreateTenant"}): 0 for _ in range(10)}

        def pending():
            return [s for s in sent if sent[s] < len(body) and not c.streams[s]["ended"]]

        def sendable(s):
            return min(c.h2.local_flow_control_window(s), 16384, len(body) - sent[s])

        while pending():
            for s in pending():
                size = sendable(s)
                if size > 0:
                    c.data(s, body[sent[s]:sent[s] + size])
                    sent[s] += size
            c.receive(lambda: not pending() or any(sendable(s) > 0 for s in pending()))
        c.h2.ping(b"12345678")
        for s in sent:
            c.receive_for(0.05, lambda: c.streams[s]["ended"])
            if c.streams[s]["ended"]:
                assert int(c.streams[s]["headers"]["grpc-status"]) == EXHAUSTED
                refused += 1
    return refused


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
def test_buffered_bytes_of_one_peer_are_bounded():
    """Refused beyond 64 MiB, over all connections of the user; others are not concerned."""
    with grpc_wire.public() as own, own.channel() as channel:
        before = own.resident_kib()
        refused = grpc_wire.as_user(54321, 54321, [], lambda: hold_bytes(own.path))
        assert 19 <= refused <= 21  # 40 x 3 MiB - 64 MiB
        own.check_growth(before, 200 << 10)
        assert Client(channel).get_tenant("tenants/others").name == "tenants/others"


@pytest.mark.parametrize("clients,streams", [(1, 1), (1, 64), (16, 16)])
def test_h2load(server, tmp_path, clients, streams):
    """Another implementation, at full speed: every call is answered."""
    (tmp_path / "request").write_bytes(frame(TENANT))
    result = subprocess.run(
        ["h2load", "-n", "5000", "-c", str(clients), "-m", str(streams),
         "-d", str(tmp_path / "request"), "-H", "te: trailers",
         "-H", "content-type: application/grpc", "-B", f"unix:{server.path}",
         "http://localhost/croft.v1.Tenants/GetTenant"],
        capture_output=True, text=True, timeout=60, check=True)
    assert "5000 succeeded, 0 failed, 0 errored, 0 timeout" in result.stdout, result.stdout
    assert f"({5000 * len(frame(TENANT))}) data" in result.stdout, result.stdout
