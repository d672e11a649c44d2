"""The CLI on a terminal, driven as a person would."""

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time

from croft_harness import PATIENCE, program


class Terminal:
    """A command whose standard input, output and error are a terminal."""

    def __init__(self, box, *args, rows=24, columns=80):
        self.fd, self.far = pty.openpty()
        self.resize(rows, columns)
        self.text = b""
        self.before = termios.tcgetattr(self.far)
        self.child = subprocess.Popen(
            [program("croft"), "--host", box.host, *args], stdin=self.far, stdout=self.far,
            stderr=self.far, env={**os.environ, "TERM": "vt100"},
            preexec_fn=lambda: (os.setsid(), fcntl.ioctl(0, termios.TIOCSCTTY, 0)),
        )

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.fd, text.encode())

    def expect(self, what, seconds=10):
        """Reads on until this text has come; it and what was before it are then taken."""
        deadline = time.monotonic() + seconds * PATIENCE
        while what.encode() not in self.text:
            left = deadline - time.monotonic()
            ready = left > 0 and select.select([self.fd], [], [], left)[0]
            if not ready:
                raise AssertionError(f"no {what!r} in {self.text!r}")
            self.text += os.read(self.fd, 65536)
        taken, _, self.text = self.text.partition(what.encode())
        return taken.decode(errors="replace")

    def is_raw(self):
        return not termios.tcgetattr(self.far)[3] & (termios.ICANON | termios.ECHO)

    def wait(self, seconds=10):
        return self.child.wait(seconds * PATIENCE)

    def drain(self):
        """Takes all that is there."""
        while select.select([self.fd], [], [], 0.1)[0]:
            os.read(self.fd, 65536)

    def end_by(self, number, seconds=10):
        """Sends a signal, and reads on until the command has ended."""
        deadline = time.monotonic() + seconds * PATIENCE
        self.child.send_signal(number)
        while self.child.poll() is None and time.monotonic() < deadline:
            if select.select([self.fd], [], [], 0.05)[0]:
                os.read(self.fd, 65536)

    def is_restored(self):
        return termios.tcgetattr(self.far) == self.before

    def close(self):
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        os.close(self.fd)
        os.close(self.far)


@contextlib.contextmanager
def terminal(box, *args, **kwargs):
    t = Terminal(box, *args, **kwargs)
    try:
        yield t
    finally:
        t.close()
