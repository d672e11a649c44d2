#!/usr/bin/env python3
"""Makes the server's method table and reflection's files from a descriptor set.

usage: gen_methods.py DESCRIPTORS OUT_METHODS_C OUT_FILES_C

The set must hold every import. A croft.v1 method without (croft.v1.auth), or whose resource is
not a string field of its request, fails the build: a method that nobody authorized cannot exist.
"""
import sys

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor

PACKAGE = "croft.v1"
ROLES = {1: "GRPC_ROLE_ANYONE", 2: "GRPC_ROLE_TENANT", 3: "GRPC_ROLE_OPERATOR"}
# Served to every peer: they tell what can be asked, never what is there.
PUBLIC_PACKAGES = ("grpc.health.v1", "grpc.reflection.v1", "grpc.reflection.v1alpha")
# The same messages on the wire, so that one handler serves both.
SAME_AS = {"grpc.reflection.v1alpha.": "grpc.reflection.v1."}


def fail(text):
    sys.exit(f"gen_methods.py: {text}")


def c_lower(full_name):
    """protoc-c's C name of a protobuf name."""
    parts = []
    for part in full_name.lstrip(".").split("."):
        out, was_upper = "", True
        for char in part:
            if char.isupper() and not was_upper:
                out += "_"
            was_upper = char.isupper()
            out += char.lower()
        parts.append(out)
    return "__".join(parts)


def c_string(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def descriptor_of(type_name):
    name = type_name.lstrip(".")
    for prefix, same in SAME_AS.items():
        if name.startswith(prefix):
            name = same + name[len(prefix):]
    return name, f"{c_lower(name)}__descriptor"


class Descriptors:
    def __init__(self, path):
        self.files = descriptor_pb2.FileDescriptorSet()
        with open(path, "rb") as f:
            self.files.ParseFromString(f.read())
        self.pool = descriptor_pool.DescriptorPool()
        for proto in self.files.file:
            self.pool.Add(proto)
        self.file_of = {}
        for index, proto in enumerate(self.files.file):
            for name in symbols_of(proto):
                self.file_of[name] = index
        # The options are parsed again in the set's own pool, which knows the extension.
        options = self.pool.FindMessageTypeByName("google.protobuf.MethodOptions")
        self.options_class = message_factory.MessageFactory(self.pool).GetPrototype(options)
        self.auth = self.pool.FindExtensionByName(f"{PACKAGE}.auth")

    def auth_of(self, package, service, method):
        where = f"{package}.{service.name}.{method.name}"
        options = self.options_class.FromString(method.options.SerializeToString())
        if not options.HasExtension(self.auth):
            if package in PUBLIC_PACKAGES:
                return 1, ""
            fail(f"{where} has no option ({PACKAGE}.auth): say who may call it")
        auth = options.Extensions[self.auth]
        if auth.role not in ROLES:
            fail(f"{where}: ({PACKAGE}.auth) needs a role")
        if auth.resource:
            self.check_resource(where, method.input_type.lstrip("."), auth.resource)
        return auth.role, auth.resource

    def check_resource(self, where, type_name, path):
        message = self.pool.FindMessageTypeByName(type_name)
        names = path.split(".")
        for index, name in enumerate(names):
            field = message.fields_by_name.get(name)
            last = index == len(names) - 1
            wanted = FieldDescriptor.TYPE_STRING if last else FieldDescriptor.TYPE_MESSAGE
            if field is None or field.label == field.LABEL_REPEATED or field.type != wanted:
                fail(f"{where}: resource {path!r} is not a string field of {type_name}")
            message = field.message_type


def symbols_of(proto):
    """Every name that a reflection client may ask for, as the pools of other languages do."""
    package = proto.package

    def join(scope, name):
        return f"{scope}.{name}" if scope else name

    def of_enum(scope, enum):
        yield join(scope, enum.name)
        for value in enum.value:
            yield join(scope, value.name)

    def of_message(scope, message):
        full = join(scope, message.name)
        yield full
        for member in (*message.field, *message.oneof_decl, *message.extension):
            yield join(full, member.name)
        for enum in message.enum_type:
            yield from of_enum(full, enum)
        for nested in message.nested_type:
            yield from of_message(full, nested)

    for message in proto.message_type:
        yield from of_message(package, message)
    for enum in proto.enum_type:
        yield from of_enum(package, enum)
    for extension in proto.extension:
        yield join(package, extension.name)
    for service in proto.service:
        yield join(package, service.name)
        for method in service.method:
            yield join(join(package, service.name), method.name)


def methods_c(descriptors):
    rows, includes = [], set()
    for proto in descriptors.files.file:
        for service in proto.service:
            for method in service.method:
                role, resource = descriptors.auth_of(proto.package, service, method)
                c_names = []
                for type_name in (method.input_type, method.output_type):
                    name, c_name = descriptor_of(type_name)
                    c_names.append(c_name)
                    file = descriptors.files.file[descriptors.file_of[name]]
                    includes.add(file.name.removesuffix(".proto") + ".pb-c.h")
                path = f"/{proto.package}.{service.name}/{method.name}"
                rows.append((path, (
                    f"\t{{{c_string(path)}, &{c_names[0]}, &{c_names[1]}, "
                    f"{str(method.client_streaming).lower()}, "
                    f"{str(method.server_streaming).lower()}, "
                    f"{ROLES[role]}, {c_string(resource)}}},\n")))
    rows.sort()
    return (
        "/* Made by proto/gen_methods.py from the descriptor set; sorted by path. */\n"
        '#include "server/grpc.h"\n\n'
        + "".join(f"#include <{name}>\n" for name in sorted(includes))
        + "\nconst struct grpc_method grpc_methods[] = {\n"
        + "".join(row for _, row in rows)
        + "};\n\n"
        + "const size_t grpc_n_methods = sizeof(grpc_methods) / sizeof(grpc_methods[0]);\n")


def files_c(descriptors):
    out = [
        "/* Made by proto/gen_methods.py from the descriptor set; symbols are sorted by name. */\n"
        '#include "server/grpc.h"\n#include "server/grpc_internal.h"\n\n']
    for index, proto in enumerate(descriptors.files.file):
        data = proto.SerializeToString()
        out.append(f"static const uint8_t file_{index}[] = {{")
        for offset in range(0, len(data), 16):
            out.append("\n\t" + ", ".join(f"{byte}" for byte in data[offset:offset + 16]) + ",")
        out.append("\n};\n\n")
    out.append("const struct grpc_file grpc_files[] = {\n")
    for index, proto in enumerate(descriptors.files.file):
        out.append(f"\t{{{c_string(proto.name)}, file_{index}, sizeof(file_{index})}},\n")
    out.append(
        "};\n\nconst size_t grpc_n_files = sizeof(grpc_files) / sizeof(grpc_files[0]);\n\n"
        "const struct grpc_symbol grpc_symbols[] = {\n")
    for name, index in sorted(descriptors.file_of.items()):
        out.append(f"\t{{{c_string(name)}, &grpc_files[{index}]}},\n")
    out.append(
        "};\n\nconst size_t grpc_n_symbols = sizeof(grpc_symbols) / sizeof(grpc_symbols[0]);\n")
    return "".join(out)


def main():
    if len(sys.argv) != 4:
        fail("usage: gen_methods.py DESCRIPTORS OUT_METHODS_C OUT_FILES_C")
    descriptors = Descriptors(sys.argv[1])
    for path, text in ((sys.argv[2], methods_c(descriptors)), (sys.argv[3], files_c(descriptors))):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)


if __name__ == "__main__":
    main()
