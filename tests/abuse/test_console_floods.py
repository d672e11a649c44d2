"""A console used against the host: a viewer that never reads, input that never ends."""

import contextlib
import os
import re
import subprocess
import threading
import time

import grpc
import pytest

from croft_harness import PATIENCE, SLOWNESS, program, wait_until

NAME = "tenants/acme/containers/web"
MEGABYTE = 1 << 20


@pytest.fixture
def web(box):
    box.tenant("acme", cpu=2)
    box.launch("acme/web")
    return box


class Viewer:
    """A client of Console that sends what it is told, and reads only when it is told."""

    def __init__(self, client, messages=()):
        self.stop = threading.Event()
        self.call = client.stream("Containers/Console", self.requests(messages), timeout=300)

    def requests(self, messages):
        yield {"start": {"name": NAME}}
        yield from messages
        self.stop.wait()

    def next(self):
        return next(self.call)

    def close(self):
        self.stop.set()
        self.call.cancel()


@contextlib.contextmanager
def viewer(box, messages=()):
    with box.api() as client:
        v = Viewer(client, messages)
        try:
            assert v.next().attached.viewers >= 1
            yield v
        finally:
            v.close()


def memory_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1]) * 1024


def cpu_seconds(pid):
    """What a process has used so far."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
        fields = f.read().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def write_to_console(box, megabytes):
    """Seconds until so much has been taken from it."""
    begin = time.monotonic()
    box.sh("acme/web", f"head -c {megabytes << 20} /dev/zero | tr '\\0' x >/dev/console",
           timeout=120)
    return time.monotonic() - begin


class TestViewerThatDoesNotRead:
    def test_holds_up_nobody(self, web):
        """The container writes on, another viewer sees it, and croftd keeps little of it."""
        web.sh("acme/web", "stty raw </dev/console; sleep 1000 </dev/console & true")
        alone = write_to_console(web, 2)
        before = memory_of(web.pids["croftd"])
        with viewer(web) as asleep, viewer(web) as awake:
            done = threading.Thread(target=write_to_console, args=(web, 10))
            done.start()
            begin, seen, skipped = time.monotonic(), 0, 0
            while seen + skipped < 10 * MEGABYTE:
                answer = awake.next()
                seen += len(answer.output)
                skipped += answer.skipped_bytes
            took = time.monotonic() - begin
            done.join()
            assert seen > 9 * MEGABYTE
            assert took < 3 * 5 * alone + 5 * SLOWNESS, (took, alone)
            grown = memory_of(web.pids["croftd"]) - before
            assert grown < 6 * MEGABYTE, grown
            # It is told how much it has missed when it reads at last.
            web.sh("acme/web", "echo >/dev/console")
            got = missed = 0
            while not missed:
                answer = asleep.next()
                got += len(answer.output)
                missed += answer.skipped_bytes
                if got % MEGABYTE < 70000:
                    web.sh("acme/web", "echo >/dev/console")
            assert got + missed >= 10 * MEGABYTE and missed > 4 * MEGABYTE, (got, missed)
        assert web.sh("acme/web", "echo alive") == "alive\n"

    def test_control_exec_waits_for_its_reader(self, web):
        """Without leaving out, a reader that sleeps makes the writer sleep."""
        with subprocess.Popen(
            [program("croft"), "--host", web.host, "exec", "-T", "acme/web", "--", "/bin/sh", "-c",
             "head -c 16777216 /dev/zero; echo written >/done"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        ) as child:
            with pytest.raises(AssertionError, match="not within"):
                wait_until("it has written", lambda: web.exec(
                    "acme/web", "/bin/sh", "-c", "[ -e /done ]").rc == 0, 2)
            child.stdout.read()
            child.wait(20 * PATIENCE)
        web.sh("acme/web", "[ -e /done ]")


def input_taken(box, seconds, piece=32768):
    """How many bytes of input a console's viewer gets rid of in that time, and croftd's CPU
    seconds for it."""
    sent = [0]

    def messages():
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            yield {"input": "eHh4" * (piece // 3)}
            sent[0] += piece

    before = cpu_seconds(box.pids["croftd"])
    with viewer(box, messages()):
        time.sleep(seconds)
        return sent[0], cpu_seconds(box.pids["croftd"]) - before


class TestInput:
    @pytest.mark.parametrize("mode", ["cooked", "raw", "left"])
    def test_flood_is_slowed(self, web, mode):
        """Cooked, a terminal drops what is beyond a line, so that it takes any amount; raw, it is
        full when nobody reads; left by all, it is ready all the time and takes nothing. None of
        them costs the host more than a little."""
        setting = "-echo" if mode == "cooked" else "-icanon -echo min 1"
        if mode != "left":
            web.sh("acme/web", "sleep 1000 </dev/console & true")
        web.sh("acme/web", f"stty {setting} </dev/console")
        taken, cpu = input_taken(web, 4)
        # What is on its way when it stops: the window, grpcio's own, and the burst.
        assert taken < 4 * (256 << 10) + 2 * MEGABYTE, taken
        assert cpu < 1.0 * SLOWNESS, cpu
        assert web.sh("acme/web", "echo alive") == "alive\n"

    def test_control_without_a_rate(self, web):
        """The same flood into a command that drops it, which has no rate."""
        sent = [0]

        def messages():
            deadline = time.monotonic() + 2
            yield {"start": {"name": NAME, "args": ["/bin/sh", "-c", "cat >/dev/null"]}}
            while time.monotonic() < deadline:
                yield {"stdin": "eHh4" * (32768 // 3)}
                sent[0] += 32768

        with web.api() as client:
            with contextlib.suppress(grpc.RpcError):
                for _ in client.stream("Containers/Exec", messages(), timeout=60):
                    pass
        assert sent[0] > 6 * MEGABYTE, sent

    def test_echo_is_no_amplifier(self, web):
        """What is typed comes back into logs; those keep no more than they may."""
        web.sh("acme/web", "stty -icanon echo </dev/console; sleep 1000 </dev/console & "
               "cat /dev/console >/dev/null & true")
        input_taken(web, 3)
        assert len(web.croft("logs", "acme/web").raw) <= 2 * MEGABYTE

    def test_opening_and_closing(self, web):
        """Each is an event; many of them stand in nobody's way."""
        with web.api() as client:
            for _ in range(50):
                v = Viewer(client)
                v.next()
                v.close()
        wait_until("all have left", lambda: sum(
            e["type"] == "container.console_closed" for e in web.events()) == 50)
        assert web.sh("acme/web", "echo alive") == "alive\n"
