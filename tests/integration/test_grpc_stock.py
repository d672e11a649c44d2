"""A stock client (python3-grpcio) against the gRPC server: calls, streams, endings."""

import grp
import os
import pwd
import signal
import threading
import time

import grpc
import pytest

import grpc_wire
from grpc_wire import MESSAGE_MAX, WAIT, Client, message

CODE = grpc.StatusCode


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with grpc_wire.running(tmp_path_factory.mktemp("grpc")) as s:
        yield s


@pytest.fixture
def client(server):
    with server.channel(("grpc.max_receive_message_length", MESSAGE_MAX)) as channel:
        yield Client(channel)


def status_of(error):
    """The google.rpc.Status of a failed call: code, message, details by type."""
    data = dict(error.trailing_metadata())["grpc-status-details-bin"]
    status = message("google.rpc.Status").FromString(data)
    details = {}
    for detail in status.details:
        name = detail.type_url.rpartition("/")[2]
        details[name] = message(name).FromString(detail.value)
    return status, details


def fails(call, code):
    with pytest.raises(grpc.RpcError) as caught:
        call()
    assert caught.value.code() == code, caught.value
    return caught.value


def test_unary(client):
    assert client.get_tenant("tenants/acme").name == "tenants/acme"
    assert client.get_tenant("tenants/late").name == "tenants/late"


def test_metadata_is_ignored(client):
    metadata = [("x-some", "value"), ("x-bin-bin", b"\x00\xff")]
    assert client.get_tenant("tenants/acme", metadata=metadata).name == "tenants/acme"


def test_errors_have_details(client):
    error = fails(lambda: client.get_tenant("tenants/quota"), CODE.RESOURCE_EXHAUSTED)
    assert error.details() == "memory is at its limit of 100% of 64 MiB"
    status, details = status_of(error)
    assert (status.code, status.message) == (8, error.details())
    info = details["google.rpc.ErrorInfo"]
    assert (info.reason, info.domain) == ("LIMIT_REACHED", "croft")
    assert dict(info.metadata) == {"subject": "memory"}
    violation = details["google.rpc.QuotaFailure"].violations[0]
    assert (violation.subject, violation.description) == ("memory", error.details())

    error = fails(lambda: client.get_tenant("tenants/invalid"), CODE.INVALID_ARGUMENT)
    violation = status_of(error)[1]["google.rpc.BadRequest"].field_violations[0]
    assert (violation.field, violation.description) == ("name", error.details())

    error = fails(lambda: client.get_tenant("tenants/text"), CODE.NOT_FOUND)
    assert error.details() == "grüße\n?%"  # a byte that is no UTF-8 does not break the reply


def test_authorizer_answers_instead_of_the_handler(client, server):
    before = client.host_info().containers
    error = fails(lambda: client.get_tenant("tenants/forbidden"), CODE.NOT_FOUND)
    assert status_of(error)[1]["google.rpc.ErrorInfo"].reason == "NO_SUCH_TENANT"
    assert client.host_info().containers == before  # nothing to cancel: it never started
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        fails(lambda: Client(channel).get_tenant("tenants/acme"), CODE.UNAUTHENTICATED)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")


def statuses_as(server, uid, gid, groups):
    """What a process with these ids gets: of GetHostInfo (operators), GetTenant (anyone here)."""
    def work():
        with grpc_wire.raw(server.path) as c:
            info = c.call(grpc_wire.frame(b""), {":path": "/croft.v1.Host/GetHostInfo"})
            tenant = c.call(grpc_wire.frame(b"\x0a\x09tenants/a"))
            return [info["status"], tenant["status"]]

    return grpc_wire.as_user(uid, gid, groups, work)


@needs_root
def test_operators_are_root_and_the_group():
    """Membership is asked of the user database, by uid: the process's own groups say nothing."""
    member = pwd.getpwnam("daemon")
    group = grp.getgrgid(member.pw_gid)
    denied = [CODE.PERMISSION_DENIED.value[0], 0]
    with grpc_wire.public(arguments=[f"group:{group.gr_name}"]) as own:
        assert statuses_as(own, 0, 0, []) == [0, 0]
        assert statuses_as(own, member.pw_uid, 65534, []) == [0, 0]
        assert statuses_as(own, 54321, group.gr_gid, [group.gr_gid]) == denied
        assert statuses_as(own, pwd.getpwnam("nobody").pw_uid, 65534, []) == denied
    with grpc_wire.public(arguments=["group:croft-no-such-group"]) as own:
        assert statuses_as(own, member.pw_uid, 65534, []) == denied


def test_unknown_method(client):
    call = client.channel.unary_unary("/croft.v1.Tenants/Nothing")
    fails(lambda: call(b"", timeout=WAIT), CODE.UNIMPLEMENTED)
    # A method of the protocol that this server has no handler for.
    request = message("croft.v1.DeleteTenantRequest")(name="tenants/a")
    fails(lambda: client.unary("Tenants/DeleteTenant")(request, timeout=WAIT), CODE.UNIMPLEMENTED)


@pytest.mark.parametrize("size", [0, 1, 16384 - 20, 65535, 1 << 20, MESSAGE_MAX - 64])
def test_message_sizes(client, size):
    tenant = message("croft.v1.Tenant")(account_ref="x" * size)
    request = message("croft.v1.CreateTenantRequest")(tenant=tenant)
    reply = client.unary("Tenants/CreateTenant")(request, timeout=WAIT)
    assert reply.account_ref == "x" * size


def test_message_too_large(client):
    tenant = message("croft.v1.Tenant")(account_ref="x" * MESSAGE_MAX)
    request = message("croft.v1.CreateTenantRequest")(tenant=tenant)
    error = fails(lambda: client.unary("Tenants/CreateTenant")(request, timeout=WAIT),
                  CODE.RESOURCE_EXHAUSTED)
    assert "larger than" in error.details()
    assert client.get_tenant("tenants/acme").name == "tenants/acme"


def test_malformed_messages(client):
    call = client.unary("Tenants/GetTenant")
    fails(lambda: call(b"\x0a\x7fshort", timeout=WAIT), CODE.INTERNAL)
    error = fails(lambda: call(b"\x0a\x02\xff\xff", timeout=WAIT), CODE.INVALID_ARGUMENT)
    assert "UTF-8" in error.details()
    error = fails(lambda: call(b"\x0a\x03a\x00b", timeout=WAIT), CODE.INVALID_ARGUMENT)
    assert "NUL" in error.details()


def test_deadline(client):
    before = client.host_info()
    start = time.monotonic()
    fails(lambda: client.get_tenant("tenants/hang", timeout=0.2), CODE.DEADLINE_EXCEEDED)
    assert time.monotonic() - start < WAIT
    client.wait_for(lambda i: i.containers == before.containers + 1 and i.tenants == 0)


def test_cancel(client):
    before = client.host_info()
    request = message("croft.v1.GetTenantRequest")(name="tenants/hang")
    future = client.unary("Tenants/GetTenant").future(request)
    client.wait_for(lambda i: i.tenants == 1)
    future.cancel()
    client.wait_for(lambda i: i.containers == before.containers + 1 and i.tenants == 0)


def test_lost_connection_cancels(server, client):
    before = client.host_info()
    with server.channel() as channel:
        request = message("croft.v1.GetLogsRequest")(name="tenants/a/containers/b", follow=True)
        stream = Client(channel).stream("Containers/GetLogs")(request)
        client.wait_for(lambda i: i.tenants == 1)
        assert stream.is_active()
    client.wait_for(lambda i: i.containers == before.containers + 1 and i.tenants == 0)


def test_server_streaming(client):
    total = 40 << 20
    request = message("croft.v1.GetLogsRequest")(name="tenants/a/containers/b", tail_bytes=total)
    got = sum(len(r.data) for r in client.stream("Containers/GetLogs")(request, timeout=WAIT))
    assert got == total


def test_a_slow_reader_costs_no_memory(server, client):
    """The handler has 1 GiB to send; the client does not read: the server holds a few MiB."""
    client.get_tenant("tenants/acme")
    before = server.resident_kib()
    request = message("croft.v1.GetLogsRequest")(name="tenants/a/containers/b",
                                                 tail_bytes=1 << 30)
    with server.channel() as channel:
        stream = Client(channel).stream("Containers/GetLogs")(request)
        next(stream)
        client.wait_for(lambda i: i.tenants == 1)
        for _ in range(50):
            client.get_tenant("tenants/acme")  # others are served meanwhile
        server.check_growth(before, 8 << 10)
        stream.cancel()
    client.wait_for(lambda i: i.tenants == 0)


def test_a_reply_too_large(client):
    """The handler has replied and freed what it had: it must not be told of a cancel as well."""
    before = client.host_info()
    error = fails(lambda: client.get_tenant("tenants/large"), CODE.RESOURCE_EXHAUSTED)
    assert "reply" in error.details()
    client.wait_for(lambda i: i.tenants == 0 and i.containers == before.containers)


def test_a_handler_that_sends_without_asking(server, client):
    """It is stopped before it fills the memory, and told when it has returned."""
    before = client.host_info()
    resident = server.resident_kib()
    request = message("croft.v1.GetLogsRequest")(name="tenants/a/containers/greedy",
                                                 tail_bytes=1 << 30)
    fails(lambda: list(client.stream("Containers/GetLogs")(request, timeout=WAIT)),
          CODE.RESOURCE_EXHAUSTED)
    client.wait_for(lambda i: i.tenants == 0 and i.containers == before.containers + 1)
    server.check_growth(resident, 32 << 10)


def exec_requests(chunks, user=""):
    cls = message("croft.v1.ExecRequest")
    start = message("croft.v1.ExecStart")(name="tenants/a/containers/b", user=user)
    yield cls(start=start)
    for chunk in chunks:
        yield cls(stdin=chunk)


def test_bidi(client):
    chunks = [bytes([i]) * (i * 517) for i in range(100)]
    replies = list(client.bidi("Containers/Exec")(exec_requests(chunks), timeout=WAIT))
    assert replies[0].started.host_pid == 1
    assert [r.stdout for r in replies[1:-1]] == chunks
    assert replies[-1].exit.status == 7


def test_bidi_large_messages(client):
    chunks = [os.urandom(3 << 20) for _ in range(8)]
    replies = list(client.bidi("Containers/Exec")(exec_requests(chunks), timeout=WAIT))
    assert [r.stdout for r in replies[1:-1]] == chunks


def test_bidi_first_request_is_authorized(client):
    start = message("croft.v1.ExecStart")(name="tenants/forbidden")
    requests = [message("croft.v1.ExecRequest")(start=start)]
    fails(lambda: list(client.bidi("Containers/Exec")(iter(requests), timeout=WAIT)),
          CODE.NOT_FOUND)


def test_a_handler_that_does_not_take_messages_stops_the_client(server, client):
    """The handler takes nothing for 300 ms: the client gets no further than its window."""
    sent = []

    def chunks():
        for _ in range(256):
            sent.append(time.monotonic())
            yield b"x" * 65536

    before = server.resident_kib()
    most = 0
    replies = client.bidi("Containers/Exec")(exec_requests(chunks(), "paused"), timeout=WAIT)
    assert next(replies).started.host_pid == 1
    started = time.monotonic()
    count = 0
    for reply in replies:
        if count == 0:
            most = len(sent)
            assert time.monotonic() - started > 0.2
        count += reply.WhichOneof("kind") == "stdout"
    assert count == 256
    assert most < 64, "4 MiB and more were let through to a handler that takes nothing"
    server.check_growth(before, 16 << 10)


def test_many_streams_at_once(client):
    """More than SETTINGS_MAX_CONCURRENT_STREAMS: the client queues, and all are answered."""
    request = message("croft.v1.GetTenantRequest")(name="tenants/late")
    call = client.unary("Tenants/GetTenant")
    futures = [call.future(request, timeout=WAIT) for _ in range(300)]
    assert all(f.result().name == "tenants/late" for f in futures)


def test_many_clients_at_once(server):
    failures = []

    def work(number):
        with server.channel() as channel:
            c = Client(channel)
            for i in range(50):
                name = f"tenants/t{number}-{i}"
                if c.get_tenant(name).name != name:
                    failures.append(name)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(WAIT)
    assert not failures


def test_health(server, client):
    cls = message("grpc.health.v1.HealthCheckRequest")
    check = client.unary("grpc.health.v1.Health/Check")
    assert check(cls(), timeout=WAIT).status == 1
    assert check(cls(service="croft.v1.Tenants"), timeout=WAIT).status == 1
    fails(lambda: check(cls(service="croft.v1.Ten"), timeout=WAIT), CODE.NOT_FOUND)
    watch = client.stream("grpc.health.v1.Health/Watch")
    states = watch(cls(), timeout=WAIT)
    unknown = watch(cls(service="nothing"), timeout=WAIT)
    assert next(states).status == 1
    assert next(unknown).status == 3
    server.process.send_signal(signal.SIGUSR1)
    assert next(states).status == 2
    server.process.send_signal(signal.SIGUSR2)
    assert next(states).status == 1
    states.cancel()
    unknown.cancel()


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection(client, version):
    package = f"grpc.reflection.{version}"
    cls = message(f"{package}.ServerReflectionRequest")
    requests = [
        cls(list_services="*"),
        cls(file_by_filename="croft/v1/tenants.proto"),
        cls(file_containing_symbol="croft.v1.Tenants"),
        cls(file_containing_symbol="croft.v1.Tenants.GetTenant"),
        cls(file_containing_symbol="croft.v1.Container.State"),
        cls(file_containing_symbol="google.protobuf.Timestamp"),
        cls(file_by_filename="nothing.proto"),
        cls(file_containing_symbol="croft.v1.Nothing"),
        cls(all_extension_numbers_of_type="google.protobuf.MethodOptions"),
        cls(host="me"),
    ]
    call = client.bidi(f"{package}.ServerReflection/ServerReflectionInfo")
    replies = list(call(iter(requests), timeout=WAIT))
    assert len(replies) == len(requests)
    services = [s.name for s in replies[0].list_services_response.service]
    assert sorted(services) == sorted([
        *(f"croft.v1.{s}" for s in ("Abuse", "Containers", "Events", "Host", "Images", "Networks",
                                    "Plans", "Policies", "Snapshots", "Tenants", "Usage",
                                    "Volumes", "Webhooks")),
        "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    ])
    file = grpc_wire.descriptor_pb2.FileDescriptorProto
    names = []
    for reply, request in zip(replies, requests):
        assert reply.original_request == request
        if reply.WhichOneof("message_response") == "file_descriptor_response":
            data, = reply.file_descriptor_response.file_descriptor_proto
            names.append(file.FromString(data).name)
    assert names == ["croft/v1/tenants.proto"] * 3 + [
        "croft/v1/containers.proto", "google/protobuf/timestamp.proto"]
    codes = [r.error_response.error_code for r in replies[6:]]
    assert codes == [5, 5, 5, 3]
    assert replies[9].valid_host == "me"


def test_drain(tmp_path):
    """SIGTERM: what has begun is finished, then the server goes; new calls are refused."""
    with grpc_wire.running(tmp_path) as own, own.channel() as channel:
        client = Client(channel)
        call = client.bidi("Containers/Exec")
        stop = threading.Event()

        def requests():
            yield from exec_requests([b"one"])
            stop.wait(WAIT)
            yield message("croft.v1.ExecRequest")(stdin=b"two")

        replies = call(requests(), timeout=WAIT)
        next(replies)
        assert next(replies).stdout == b"one"
        watch = client.stream("grpc.health.v1.Health/Watch")(
            message("grpc.health.v1.HealthCheckRequest")())
        assert next(watch).status == 1
        own.process.send_signal(signal.SIGTERM)
        fails(lambda: next(watch), CODE.UNAVAILABLE)
        with own.channel() as other:
            fails(lambda: Client(other).get_tenant("tenants/acme"), CODE.UNAVAILABLE)
        assert own.process.poll() is None
        stop.set()
        assert next(replies).stdout == b"two"
        assert next(replies).exit.status == 7
        assert own.process.wait(WAIT) == 0


def test_drain_without_calls(tmp_path):
    with grpc_wire.running(tmp_path) as own, own.channel() as channel:
        Client(channel).get_tenant("tenants/acme")
        start = time.monotonic()
        own.process.send_signal(signal.SIGTERM)
        assert own.process.wait(WAIT) == 0
        assert time.monotonic() - start < WAIT / 2


@needs_root
def test_connections_of_one_user_are_bounded():
    def work():
        """How many of 80 connections are served."""
        connections = [grpc_wire.Raw(own.path) for _ in range(80)]
        return sum(c.call(grpc_wire.frame(b"\x0a\x09tenants/a"))["status"] == 0
                   for c in connections)

    with grpc_wire.public() as own, own.channel() as channel:
        assert grpc_wire.as_user(54321, 54321, [], work) == 64
        client = Client(channel)
        client.wait_for(lambda i: own.descriptors() < 20)
        assert grpc_wire.as_user(0, 0, [], work) == 80  # operators have more


def ask(name):
    """The bytes of a GetTenantRequest."""
    return grpc_wire.frame(bytes([10, len(name)]) + name.encode())


@needs_root
def test_calls_of_one_user_are_bounded():
    """Also those that the client has left: what is worked for counts. The bound is a user's."""
    def leave(n, path):
        """The statuses of n calls whose deadline passes while they are worked for."""
        connection = grpc_wire.Raw(path)
        return [connection.call(ask("tenants/stubborn"), {"grpc-timeout": "1m"})["status"]
                for _ in range(n)]

    exceeded, refused = CODE.DEADLINE_EXCEEDED.value[0], CODE.RESOURCE_EXHAUSTED.value[0]
    with grpc_wire.public() as own, own.channel() as channel:
        statuses = grpc_wire.as_user(54321, 54321, [], lambda: leave(260, own.path))
        assert statuses == [exceeded] * 256 + [refused] * 4
        again = grpc_wire.as_user(54321, 54321, [], lambda: leave(1, own.path))
        assert again == [refused], "a new connection is no way around"
        assert grpc_wire.as_user(54322, 54322, [], lambda: leave(1, own.path)) == [exceeded]
        Client(channel).get_tenant("tenants/release")
        statuses = grpc_wire.as_user(54321, 54321, [], lambda: leave(257, own.path))
        assert statuses == [exceeded] * 256 + [refused]


def test_out_of_descriptors_stops_accepting(tmp_path):
    """With few descriptors the server leaves some to others, and serves whoever it has taken."""
    with grpc_wire.running(tmp_path, ("prlimit", "--nofile=150:150")) as own:
        with own.channel() as channel:
            first = Client(channel)
            first.get_tenant("tenants/acme")
            uds = [grpc_wire.Raw(own.path) for _ in range(60)]
            tcp = [grpc_wire.socket.create_connection(("127.0.0.1", own.port)) for _ in range(60)]
            first.get_tenant("tenants/acme")
            assert own.descriptors() <= 150 - 32
            for c in [*uds, *tcp]:
                c.close()
            first.wait_for(lambda i: own.descriptors() < 20)
            with own.channel() as other:
                assert Client(other).get_tenant("tenants/acme").name == "tenants/acme"
