"""`buf curl` knows nothing of Croft but what reflection tells it: v1 and v1alpha."""

import json
import os
import subprocess

import pytest

import grpc_wire
import npm

BUF_VERSION = "1.75.0"


@pytest.fixture(scope="module")
def buf():
    binary = os.path.join(".bin", "buf")
    return os.path.join(npm.install("npm", binary, f"@bufbuild/buf@{BUF_VERSION}"), binary)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with grpc_wire.running(tmp_path_factory.mktemp("buf")) as s:
        yield s


def curl(buf, server, *args):
    return subprocess.run(
        [buf, "curl", "--protocol", "grpc", "--http2-prior-knowledge",
         "--unix-socket", server.path, *args],
        capture_output=True, text=True, timeout=60, check=False)


def objects(text):
    """JSON objects, one after the other."""
    decoder = json.JSONDecoder()
    text = text.strip()
    while text:
        value, end = decoder.raw_decode(text)
        yield value
        text = text[end:].strip()


@pytest.mark.parametrize("protocol", ["grpc-v1", "grpc-v1alpha"])
def test_unary(buf, server, protocol):
    result = curl(buf, server, "--reflect-protocol", protocol, "-d", '{"name": "tenants/acme"}',
                  "http://localhost/croft.v1.Tenants/GetTenant")
    assert result.returncode == 0, result.stderr
    assert list(objects(result.stdout)) == [{"name": "tenants/acme"}]


def test_methods(buf, server):
    result = curl(buf, server, "--list-methods", "http://localhost")
    assert result.returncode == 0, result.stderr
    assert "croft.v1.Containers/Exec" in result.stdout.split()


def test_bidi(buf, server):
    requests = '{"start": {"name": "tenants/a/containers/b"}}{"stdin": "aGVsbG8="}'
    result = curl(buf, server, "-d", requests, "http://localhost/croft.v1.Containers/Exec")
    assert result.returncode == 0, result.stderr
    assert list(objects(result.stdout)) == [
        {"started": {"hostPid": 1}}, {"stdout": "aGVsbG8="},
        {"exit": {"kind": "EXITED", "status": 7}}]


def test_error_details(buf, server):
    result = curl(buf, server, "-d", '{"name": "tenants/quota"}',
                  "http://localhost/croft.v1.Tenants/GetTenant")
    error, = objects(result.stderr)
    assert error["code"] == "resource_exhausted"
    assert [d["type"] for d in error["details"]] == [
        "google.rpc.ErrorInfo", "google.rpc.QuotaFailure"]
