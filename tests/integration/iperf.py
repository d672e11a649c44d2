"""What iperf3 measures between two network namespaces."""

import contextlib
import json
import subprocess

import pytest

SLACK = 0.05  # of the rate


@contextlib.contextmanager
def server(prefix, port=5201):
    """`prefix`: what a command is run with to be in the server's namespace."""
    process = subprocess.Popen(
        [*prefix, "iperf3", "-s", "-1", "-p", str(port), "--forceflush"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        next(line for line in process.stdout if "listening" in line)
        yield
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def client(prefix, address, *options, port=5201, seconds=2):
    """iperf3's own account of a connection, as its JSON has it."""
    done = subprocess.run(
        [*prefix, "iperf3", "-c", address, "-p", str(port), "-t", str(seconds), "-J", *options],
        check=True, stdout=subprocess.PIPE, text=True, timeout=60 + 10 * seconds)
    return json.loads(done.stdout)


def measure(at_client, at_server, address, *options, port=5201, seconds=2):
    """Bytes of data a second that the receiver got, after the connection has found its pace."""
    with server(at_server, port):
        done = client(at_client, address, "-O", "1", *options, port=port, seconds=seconds)
    return done["end"]["sum_received"]["bits_per_second"] / 8


def near(measured, rate):
    """`measured` measures. A busy machine makes a line slower, and iperf3 takes what arrives behind
    its time for part of it, which makes it seem quicker: one that is near is enough. A limit that
    is not held is near in none."""
    seen = []
    for _ in range(8):
        seen.append(measured() / rate)
        if abs(seen[-1] - 1) <= SLACK:
            return
    pytest.fail(f"{[round(s, 3) for s in seen]} of {rate}")
