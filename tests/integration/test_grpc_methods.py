"""proto/gen_methods.py: a method that nobody authorized must not be buildable."""

import os
import subprocess

import pytest

import grpc_wire

GENERATOR = os.path.join(grpc_wire.ROOT, "proto", "gen_methods.py")


@pytest.fixture
def files():
    """The built descriptor set, with options in a form that can be changed."""
    set_class = grpc_wire.message("google.protobuf.FileDescriptorSet")
    with open(os.path.join(grpc_wire.BUILD, "proto", "croft.desc"), "rb") as f:
        return set_class.FromString(f.read())


def method(files, service, name):
    for file in files.file:
        for s in file.service:
            if file.package == "croft.v1" and s.name == service:
                return next(m for m in s.method if m.name == name)
    raise AssertionError(f"no {service}/{name}")


def generate(files, directory):
    path = directory / "in.desc"
    path.write_bytes(files.SerializeToString())
    outputs = [directory / "methods.c", directory / "files.c"]
    result = subprocess.run(
        ["/usr/bin/python3", GENERATOR, path, *outputs], capture_output=True, text=True,
        timeout=60, check=False)
    return result, outputs


AUTH = grpc_wire.POOL.FindExtensionByName("croft.v1.auth")


def test_the_built_set_is_accepted(files, tmp_path):
    result, (methods, tables) = generate(files, tmp_path)
    assert result.returncode == 0, result.stderr
    rows = [line for line in methods.read_text().splitlines() if line.startswith('\t{"/')]
    paths = [row.split('"')[1] for row in rows]
    assert paths == sorted(paths) and len(paths) == len(set(paths))
    exec_row = next(row for row in rows if "Containers/Exec" in row)
    assert exec_row.endswith('true, true, GRPC_ROLE_TENANT, "start.name"},')
    logs_row = next(row for row in rows if "Containers/GetLogs" in row)
    assert 'false, true, GRPC_ROLE_TENANT, "name"' in logs_row
    assert '"croft.v1.Container.State"' in tables.read_text()


def test_no_option(files, tmp_path):
    method(files, "Tenants", "CreateTenant").options.ClearExtension(AUTH)
    result, outputs = generate(files, tmp_path)
    assert result.returncode != 0
    assert "croft.v1.Tenants.CreateTenant has no option" in result.stderr
    assert not any(path.exists() for path in outputs)


def test_no_role(files, tmp_path):
    method(files, "Tenants", "CreateTenant").options.Extensions[AUTH].role = 0
    result, _ = generate(files, tmp_path)
    assert result.returncode != 0
    assert "needs a role" in result.stderr


@pytest.mark.parametrize("resource", ["nothing", "tenant", "tenant.limits", "tenant.bound_uids",
                                      "tenant.name.x", "tenant_id."])
def test_a_resource_that_is_no_text(files, tmp_path, resource):
    method(files, "Tenants", "CreateTenant").options.Extensions[AUTH].resource = resource
    result, _ = generate(files, tmp_path)
    assert result.returncode != 0
    assert "is not a string field" in result.stderr


def test_a_foreign_package_is_not_public(files, tmp_path):
    """Only health and reflection may be without the option."""
    next(f for f in files.file if f.package == "grpc.health.v1").package = "other.v1"
    result, _ = generate(files, tmp_path)
    assert result.returncode != 0
