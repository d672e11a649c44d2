"""@grpc/grpc-js does the whole life cycle by the .proto files alone (grpc_js_client.js): unary
calls, streams each way, deadlines, cancels, and what a refusal carries."""

import json
import os
import shutil
import subprocess

import pytest

import kernel
import npm
from croft_harness import HERE, PATIENCE, ROOT, wait_until

PACKAGES = ("@grpc/grpc-js@1.14.7", "@grpc/proto-loader@0.8.1")
OK, CANCELLED, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, ALREADY_EXISTS = 0, 1, 3, 4, 5, 6
RESOURCE_EXHAUSTED = 8
MIB = 1 << 20


@pytest.fixture(scope="module")
def modules():
    if not shutil.which("node"):
        pytest.skip("node is not installed")
    return npm.install("node", "@grpc/grpc-js", *PACKAGES)


@pytest.fixture
def play(box, modules):
    """Runs a story against the instance; what it saw."""
    def run(story):
        result = subprocess.run(
            ["node", os.path.join(HERE, "grpc_js_client.js"), story, box.host,
             os.path.join(ROOT, "proto")],
            capture_output=True, text=True, timeout=120 * PATIENCE, check=False,
            env={**os.environ, "NODE_PATH": modules})
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    return run


def test_life_cycle(play):
    seen = play("life")
    assert seen["tenant"]["limits"]["memory_bytes"] == 128 * MIB
    assert seen["launched"]["state"] == "RUNNING"
    assert [c["name"] for c in seen["listed"]] == ["tenants/acme/containers/web"]
    assert seen["updated"]["limits"]["memory_bytes"] == 64 * MIB
    execution = seen["exec"]
    assert (execution["code"], execution["first"]) == (OK, "started")
    assert (execution["same"], execution["bytes"]) == (True, MIB)
    assert execution["stderr"] == "hark\n"
    assert (execution["exit"]["kind"], execution["exit"]["status"]) == ("EXITED", 7)
    assert seen["logs"] == {"code": OK, "text": "up\n"}
    assert seen["states"] == [
        ["Freeze", "FROZEN"], ["Thaw", "RUNNING"], ["Stop", "STOPPED"], ["Start", "RUNNING"],
        ["Restart", "RUNNING"], ["Kill", "STOPPED"]]
    assert seen["gone"]["code"] == NOT_FOUND
    assert seen["events"]["code"] == OK
    numbers = [e["number"] for e in seen["events"]["list"]]
    assert numbers == sorted(set(numbers))
    types = [e["type"] for e in seen["events"]["list"] if e["tenant"] == "acme"]
    assert types[0] == "tenant.created" and types[-1] == "tenant.deleted", types
    assert types.count("container.started") == 3, types


def test_deadlines_and_cancels_end_commands(box, play):
    seen = play("endings")
    for how, code in (("deadline", DEADLINE_EXCEEDED), ("cancel", CANCELLED)):
        assert seen[how]["code"] == code, how
        pid = seen[how]["pid"]
        wait_until(f"the command of {how} is gone", lambda p=pid: not kernel.is_alive(p))
    assert seen["follow"]["code"] == CANCELLED and seen["follow"]["n"] >= 1
    assert seen["after"]["kind"] == "EXITED" and seen["after"]["status"] == 0


def test_errors_carry_details(play):
    seen = play("errors")
    assert seen["uids"][0] == seen["uids"][1], "a retry with the same request id made another"
    for what, code in (("none", NOT_FOUND), ("exists", ALREADY_EXISTS),
                       ("invalid", INVALID_ARGUMENT), ("quota", RESOURCE_EXHAUSTED)):
        error = seen[what]
        assert error["code"] == error["status"]["code"] == code, (what, error)
        assert error["text"] == error["status"]["message"] != ""
        info = error["details"][0]
        assert info["name"] == "google.rpc.ErrorInfo" and info["domain"] == "croft"
        assert info["reason"], what
    kinds = {what: [d["name"].rpartition(".")[2] for d in seen[what]["details"]] for what in seen
             if what != "uids"}
    assert "QuotaFailure" in kinds["quota"] and "BadRequest" in kinds["invalid"], kinds
