"""A stock gRPC client: grpcio, with messages made from the build's descriptor set at run time."""

import functools

import grpc
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, json_format, message_factory

# Seconds, of what only waits. This file is also run alone, as another user.
PATIENT = 90


class Schema:
    """The services of a FileDescriptorSet."""

    def __init__(self, path):
        files = descriptor_pb2.FileDescriptorSet()
        with open(path, "rb") as f:
            files.ParseFromString(f.read())
        self.pool = descriptor_pool.DescriptorPool()
        for file in files.file:
            self.pool.Add(file)
        self.files = {file.name: file for file in files.file}
        self._factory = message_factory.MessageFactory(self.pool)

    def message(self, name):
        """The class of a message by its full name."""
        return self._factory.GetPrototype(self.pool.FindMessageTypeByName(name))

    @functools.lru_cache(maxsize=None)
    def method(self, name):
        """(path, request class, reply class, client streams, server streams) of a method such as
        "Tenants/CreateTenant" or "grpc.health.v1.Health/Check"."""
        service, method = name.split("/")
        if "." not in service:
            service = f"croft.v1.{service}"
        found = self.pool.FindServiceByName(service).FindMethodByName(method)
        proto = descriptor_pb2.MethodDescriptorProto()
        found.CopyToProto(proto)
        return (
            f"/{service}/{method}",
            self._factory.GetPrototype(found.input_type),
            self._factory.GetPrototype(found.output_type),
            proto.client_streaming,
            proto.server_streaming,
        )

    def methods(self, package="croft.v1"):
        """Every method of a package, as method() takes them."""
        for file in self.files.values():
            if file.package == package:
                for service in file.service:
                    for method in service.method:
                        yield f"{package}.{service.name}/{method.name}"


def _rpc_messages():
    """google.rpc's Status and ErrorInfo, which Debian packages nowhere."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="google/rpc/for_tests.proto", package="google.rpc", syntax="proto3",
        dependency=["google/protobuf/any.proto"],
    )

    def add(message, *fields):
        added = file.message_type.add(name=message)
        for number, (name, kind, label) in enumerate(fields, 1):
            entry = added.field.add(name=name, number=number, label=label)
            if isinstance(kind, str):
                entry.type, entry.type_name = field.TYPE_MESSAGE, kind
            else:
                entry.type = kind

    one, many = field.LABEL_OPTIONAL, field.LABEL_REPEATED
    add("Status", ("code", field.TYPE_INT32, one), ("message", field.TYPE_STRING, one),
        ("details", ".google.protobuf.Any", many))
    add("Pair", ("key", field.TYPE_STRING, one), ("value", field.TYPE_STRING, one))
    add("ErrorInfo", ("reason", field.TYPE_STRING, one), ("domain", field.TYPE_STRING, one),
        ("metadata", ".google.rpc.Pair", many))
    add("Violation", ("subject", field.TYPE_STRING, one), ("description", field.TYPE_STRING, one))
    add("QuotaFailure", ("violations", ".google.rpc.Violation", many))
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(any_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    factory = message_factory.MessageFactory(pool)
    return {
        name: factory.GetPrototype(pool.FindMessageTypeByName(f"google.rpc.{name}"))
        for name in ("Status", "ErrorInfo", "QuotaFailure")
    }


RPC = _rpc_messages()


def error_details(error):
    """Detail's name -> message, of what an RpcError carries in google.rpc.Status."""
    found = {}
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in RPC["Status"].FromString(value).details:
                name = detail.type_url.rpartition(".")[2]
                if name in RPC:
                    found[name] = RPC[name].FromString(detail.value)
    return found


def error_reason(error):
    """google.rpc.ErrorInfo's reason, or None."""
    info = error_details(error).get("ErrorInfo")
    return info.reason if info else None


def to_dict(message):
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


class Api:
    """Calls with and to dicts. Errors are grpc.RpcError, as grpcio raises them."""

    def __init__(self, schema, host):
        self.schema = schema
        self.channel = grpc.insecure_channel(host, options=[("grpc.enable_retries", 0)])

    def close(self):
        self.channel.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _stub(self, name):
        path, request, reply, client, server = self.schema.method(name)
        kind = f"{'stream' if client else 'unary'}_{'stream' if server else 'unary'}"
        stub = getattr(self.channel, kind)(
            path, request_serializer=request.SerializeToString,
            response_deserializer=reply.FromString,
        )
        return stub, request

    def call(self, name, request=None, timeout=PATIENT, **kwargs):
        """A unary call."""
        stub, kind = self._stub(name)
        message = json_format.ParseDict(request or {}, kind())
        return to_dict(stub(message, timeout=timeout, **kwargs))

    def stream(self, name, request, timeout=PATIENT):
        """A call with a stream of replies: the grpcio call object, to be iterated or cancelled.
        `request` is a dict, or an iterable of them for a method that takes a stream."""
        stub, kind = self._stub(name)
        if isinstance(request, dict):
            return stub(json_format.ParseDict(request, kind()), timeout=timeout)
        return stub((json_format.ParseDict(r, kind()) for r in request), timeout=timeout)

