"""Scrapes of /metrics, taken apart by a reader of its own: the format's rules, no more."""

import http.client
import re
import socket

SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)')


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path, timeout=30):
        super().__init__("metrics", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        # Without a timeout, which would make a full backlog an error.
        self.sock.connect(self.path)
        self.sock.settimeout(self.timeout)


def connect(where, timeout=30):
    """"unix:PATH" or "ADDRESS:PORT", as croftd takes them."""
    if where.startswith("unix:"):
        return UnixConnection(where.removeprefix("unix:"), timeout)
    return http.client.HTTPConnection(where, timeout=timeout)


def fetch(where, path="/metrics", method="GET", headers=None, timeout=30):
    """(status, headers, text)"""
    connection = connect(where, timeout)
    try:
        connection.request(method, path, headers=headers or {})
        reply = connection.getresponse()
        return reply.status, dict(reply.getheaders()), reply.read().decode()
    finally:
        connection.close()


def scrape_text(where, timeout=30):
    status, _, text = fetch(where, timeout=timeout)
    assert status == 200, (status, text)
    return text


def scrape(where, timeout=30):
    return Page(scrape_text(where, timeout))


class Page:
    """One scrape: {(name, labels): figure}, and the type of each family."""

    def __init__(self, text):
        self.text, self.types, self.samples = text, {}, {}
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                assert name not in self.types, f"two families {name}"
                self.types[name] = kind
            elif not line.startswith("#"):
                self._add(line)

    def _add(self, line):
        found = SAMPLE.fullmatch(line)
        assert found, line
        name, inside, value = found.groups()
        labels = LABEL.findall(inside or "")
        assert sum(len(k) + len(v) + 4 for k, v in labels) - 1 in (-1, len(inside or "")), line
        key = (name, tuple(sorted(labels)))
        assert key not in self.samples, f"twice: {line}"
        self.samples[key] = float(value)

    def get(self, name, **labels):
        """The figure; None when there is no such sample."""
        return self.samples.get((name, tuple(sorted(labels.items()))))

    def cpu(self, **labels):
        """Seconds of CPU of a tenant or container, in whatever mode; None: there is no figure."""
        level = "container" if "container" in labels else "tenant"
        parts = [self.get(f"croft_{level}_cpu_usage_seconds_total", mode=mode, **labels)
                 for mode in ("user", "system", "unknown")]
        return None if parts[:2] == [None, None] else sum(filter(None, parts))

    def names(self):
        return {name for name, _ in self.samples}

    def counters(self):
        """Those that must never fall while what they count exists."""
        return {key: value for key, value in self.samples.items()
                if self.types.get(key[0]) == "counter"}
