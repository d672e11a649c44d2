"""What iperf3 measures between two network namespaces, and what the kernel counts meanwhile."""

import contextlib
import json
import subprocess
import time

import pytest

SLACK = 0.05  # of the rate
BURST = 32768, 0.01  # of a token bucket: at least, and of what passes in a second (net_tc.c)


class Measured(float):
    """Bytes of data a second by iperf3's account. `bytes` is what the receiver's kernel counted
    within `elapsed` seconds at most: what passed, whatever a busy machine does to the account."""

    def __new__(cls, value, counted, elapsed):
        self = super().__new__(cls, value)
        self.bytes, self.elapsed = counted, elapsed
        return self

    def excess(self, rate):
        """How much more than `rate` has passed, as a part of it; the bucket's burst is free."""
        burst = max(BURST[0], rate * BURST[1])
        return (self.bytes - burst) / self.elapsed / rate - 1


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


@contextlib.contextmanager
def running(prefix, address, *options, port=5201, seconds=2):
    """A connection under way; yields what will be iperf3's own account when it has ended."""
    account = {}
    process = subprocess.Popen(
        [*prefix, "iperf3", "-c", address, "-p", str(port), "-t", str(seconds), "-J", *options],
        stdout=subprocess.PIPE, text=True)
    try:
        yield account
        out, _ = process.communicate(timeout=60 + 10 * seconds)
        assert process.returncode == 0, out
        account.update(json.loads(out))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def client(prefix, address, *options, port=5201, seconds=2):
    with running(prefix, address, *options, port=port, seconds=seconds) as account:
        pass
    return account


def received(prefix):
    """Bytes that have come into a namespace, by all its interfaces but the loopback."""
    text = subprocess.run([*prefix, "cat", "/proc/net/dev"], check=True, stdout=subprocess.PIPE,
                          text=True).stdout
    lines = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return sum(int(rest.split()[0]) for name, rest in lines if name.strip() != "lo")


def measure(at_client, at_server, address, *options, port=5201, seconds=2):
    """Measured after the connection has found its pace."""
    receiver = at_client if "-R" in options else at_server
    with server(at_server, port):
        with running(at_client, address, "-O", "1", *options, port=port,
                     seconds=seconds) as account:
            time.sleep(1)
            # From before the first look to after the second: more time passes, never less.
            start = time.monotonic()
            before = received(receiver)
            time.sleep(seconds)
            counted = received(receiver) - before
            elapsed = time.monotonic() - start
    value = account["end"]["sum_received"]["bits_per_second"] / 8
    return Measured(value, counted, elapsed)


def near(measured, rate):
    """`measured` measures. Never may more have passed than the rate allows: a busy machine cannot
    do that, as the kernel counts and time goes on. It can make a line slower, and iperf3 takes what
    arrives behind its time for part of it, so that of its accounts one that is near is enough."""
    seen = []
    for _ in range(8):
        seen.append(measured())
        assert seen[-1].excess(rate) <= SLACK, f"{seen[-1].bytes} bytes at {rate} a second"
        if abs(seen[-1] / rate - 1) <= SLACK:
            return
    pytest.fail(f"{[round(s / rate, 3) for s in seen]} of {rate}")
