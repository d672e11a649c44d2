"""What the gRPC tests share: the echo server, messages by the built descriptor set, a stock client
(python3-grpcio), and a raw HTTP/2 client (python3-h2) that can be made to misbehave."""

import contextlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
import tempfile
import time
import traceback

import grpc
import h2.config
import h2.connection
import h2.events
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("CROFT_BUILD", os.path.join(ROOT, "build"))
MESSAGE_MAX = 4 << 20
WAIT = 20  # seconds: only a broken server takes that long


def _load():
    files = descriptor_pb2.FileDescriptorSet()
    with open(os.path.join(BUILD, "proto", "croft.desc"), "rb") as f:
        files.ParseFromString(f.read())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return pool, message_factory.MessageFactory(pool)


POOL, _FACTORY = _load()
# When its last channel closes, grpcio 1.51 waits up to ten seconds for objects that it lost.
_NEVER_LAST = grpc.insecure_channel("unix:/nonexistent")


def message(name):
    """The class of a message, e.g. "croft.v1.Tenant"."""
    return _FACTORY.GetPrototype(POOL.FindMessageTypeByName(name))


class Server:
    """grpc_echo_server, on a unix socket and a TCP port."""

    def __init__(self, directory, prefix, arguments):
        self.path = os.path.join(directory, "echo.sock")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        binary = os.path.join(BUILD, "tests", "integration", "grpc_echo_server")
        self.process = subprocess.Popen(
            [*prefix, binary, f"unix:{self.path}", "tcp:0", *arguments],
            stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().split()[1])
        assert self.process.stdout.readline() == "READY\n"

    def channel(self, *options):
        """Channels of grpcio share connections by their arguments; each of these has its own."""
        options = [*options, ("grpc.use_local_subchannel_pool", 1)]
        return grpc.insecure_channel(f"unix:{self.path}", options=options)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def check_growth(self, before, kib):
        """A sanitizer's allocator keeps what was freed, and shadows the rest."""
        with open(f"/proc/{self.process.pid}/exe", "rb") as f:
            factor = 16 if b"__asan_init" in f.read() else 1
        grown = self.resident_kib() - before
        assert grown < kib * factor, f"the server grew by {grown} KiB"

    def resident_kib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(WAIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self.process.stdout.close()
        return status


@contextlib.contextmanager
def running(directory, prefix=(), arguments=()):
    server = Server(str(directory), prefix, arguments)
    try:
        yield server
    finally:
        alive = server.process.poll() is None
        status = server.stop() if alive else server.process.returncode
        # A test may have ended it, but it must have drained.
        assert status == 0, f"the server ended with {status}"


class Client:
    """Methods by name on a channel: client.unary("Tenants/GetTenant")(request)."""

    def __init__(self, channel):
        self.channel = channel

    @staticmethod
    def _types(name):
        service, method = name.split("/")
        if "." not in service:
            service = f"croft.v1.{service}"
        d = POOL.FindServiceByName(service).methods_by_name[method]
        reply = message(d.output_type.full_name)
        return f"/{service}/{method}", {
            "request_serializer": lambda m: m if isinstance(m, bytes) else m.SerializeToString(),
            "response_deserializer": reply.FromString,
        }

    def unary(self, name):
        path, types = self._types(name)
        return self.channel.unary_unary(path, **types)

    def stream(self, name):
        path, types = self._types(name)
        return self.channel.unary_stream(path, **types)

    def bidi(self, name):
        path, types = self._types(name)
        return self.channel.stream_stream(path, **types)

    def get_tenant(self, name, **options):
        request = message("croft.v1.GetTenantRequest")(name=name)
        return self.unary("Tenants/GetTenant")(request, timeout=options.pop("timeout", WAIT),
                                               **options)

    def host_info(self):
        empty = message("google.protobuf.Empty")()
        return self.unary("Host/GetHostInfo")(empty, timeout=WAIT)

    def wait_for(self, condition):
        """Asks GetHostInfo until the condition holds of it."""
        deadline = time.monotonic() + WAIT
        while True:
            info = self.host_info()
            if condition(info):
                return info
            assert time.monotonic() < deadline, info
            time.sleep(0.01)


def as_user(uid, gid, groups, work):
    """Runs work() in a child with these ids; its answer, as JSON carries it. The child must not
    use grpcio, which does not survive a fork: Raw is for that."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups(groups)
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
            os.write(write, json.dumps(work()).encode())
        except BaseException:  # it must not return into the test runner
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as f:
        answer = f.read()
    os.waitpid(pid, 0)
    assert answer, "the child failed; see its standard error"
    return json.loads(answer)


@contextlib.contextmanager
def public(prefix=(), arguments=()):
    """A server that every user can reach."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        with running(directory, prefix, arguments) as server:
            os.chmod(server.path, 0o666)
            yield server


def frame(payload, flag=0, length=None):
    """A length-prefixed message; length None: the true one."""
    return struct.pack(">BI", flag, len(payload) if length is None else length) + payload


class Raw:
    """One HTTP/2 connection by hand. Events are collected by stream until it ends."""

    HEADERS = {
        ":method": "POST",
        ":scheme": "http",
        ":path": "/croft.v1.Tenants/GetTenant",
        ":authority": "localhost",
        "te": "trailers",
        "content-type": "application/grpc",
    }

    def __init__(self, path, handshake=True):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(WAIT)
        self.sock.connect(path)
        config = h2.config.H2Configuration(
            client_side=True, header_encoding="utf-8", validate_outbound_headers=False,
            normalize_outbound_headers=False)
        self.h2 = h2.connection.H2Connection(config)
        self.streams = {}
        self.goaway = None
        self.closed = False
        if handshake:
            self.h2.initiate_connection()
            self.flush()

    def flush(self):
        self.send_bytes(self.h2.data_to_send())

    def send_bytes(self, data):
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.sock.sendall(data)

    def headers(self, changes=None, end=False, stream=None, flush=True):
        """Opens a stream; a header whose value is None is left out. Without a flush it goes with
        what comes next, in one write."""
        headers = {**self.HEADERS, **(changes or {})}
        stream = stream or self.h2.get_next_available_stream_id()
        self.h2.send_headers(
            stream, [(k, v) for k, v in headers.items() if v is not None], end_stream=end)
        if flush:
            self.flush()
        self.streams[stream] = {"headers": {}, "data": b"", "reset": None, "ended": False}
        return stream

    def data(self, stream, data, end=False):
        self.h2.send_data(stream, data, end_stream=end)
        self.flush()

    def raw_frame(self, kind, flags, stream, payload=b"", length=None):
        length = len(payload) if length is None else length
        self.send_bytes(struct.pack(">I", length)[1:] + bytes([kind, flags])
                        + struct.pack(">I", stream) + payload)

    def _event(self, event):
        stream = self.streams.get(getattr(event, "stream_id", None))
        if isinstance(event, h2.events.ConnectionTerminated):
            self.goaway = event.error_code
        elif stream is None:
            return
        elif isinstance(event, (h2.events.ResponseReceived, h2.events.TrailersReceived)):
            stream["headers"].update(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            stream["data"] += event.data
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            # After END_STREAM with NO_ERROR: the reply is complete, stop sending.
            stream["reset"] = event.error_code
            stream["ended"] = True
        elif isinstance(event, h2.events.StreamEnded):
            stream["ended"] = True

    def receive_for(self, seconds, until=lambda: False):
        """Reads until the condition holds, the time is over or the connection is closed."""
        deadline = time.monotonic() + seconds
        while not self.closed and not until():
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.sock], [], [], left)[0]:
                return
            try:
                data = self.sock.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                self.closed = True
                return
            for event in self.h2.receive_data(data):
                self._event(event)
            self.flush()

    def receive(self, until):
        """Reads until the condition holds or the connection is closed; one of them must happen."""
        self.receive_for(WAIT, until)
        assert self.closed or until(), "the server neither answered nor hung up"

    def reply(self, stream):
        """Waits for the stream's end; its :status, grpc-status, data and reset code."""
        s = self.streams[stream]
        self.receive(lambda: s["ended"])
        status = s["headers"].get("grpc-status")
        return {
            "http": int(s["headers"].get(":status", 0)),
            "status": None if status is None else int(status),
            "headers": s["headers"],
            "data": s["data"],
            "reset": s["reset"],
            "closed": self.closed,
        }

    def call(self, body, changes=None, end=True):
        stream = self.headers(changes, flush=False)
        self.data(stream, body, end)
        return self.reply(stream)

    def wait_closed(self):
        self.receive(lambda: False)
        return self.closed

    def close(self):
        self.sock.close()


@contextlib.contextmanager
def raw(path, handshake=True):
    connection = Raw(path, handshake)
    try:
        yield connection
    finally:
        connection.close()
