"""Receivers of webhooks: what croftd sends is kept, and answered as the test says. What is verified
here is by Standard Webhooks' own words, not by anything of Croft's.
"""

import base64
import contextlib
import hashlib
import hmac
import http.server
import json
import os
import ssl
import subprocess
import threading
import time
from dataclasses import dataclass, field


class Unverified(Exception):
    """A message that its receiver must not believe."""


def verify(secret, headers, body, now=None):
    """Standard Webhooks 1.0.0: signed with this secret, and not long ago."""
    message_id, stamp = headers["webhook-id"], headers["webhook-timestamp"]
    if abs((now or time.time()) - int(stamp)) > 300:
        raise Unverified("too old, or of the future")
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{stamp}.".encode() + body
    wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    for signature in headers["webhook-signature"].split(" "):
        version, _, value = signature.partition(",")
        if version == "v1" and hmac.compare_digest(value, wanted):
            return
    raise Unverified("not by who has the secret")


@dataclass
class Message:
    """A request as it came."""

    path: str
    headers: dict
    body: bytes
    status: int = 0  # that it was answered with
    at: float = field(default_factory=time.monotonic)

    @property
    def id(self):
        return self.headers["webhook-id"]

    @property
    def events(self):
        return json.loads(self.body)


class Receiver:
    """An HTTP server on loopback. `answer(message)` returns a status, or a status and headers, or
    None: it answers by itself (`message.connection`)."""

    def __init__(self, answer=lambda message: 204, tls=None):
        self.messages = []
        self.answer = answer
        self._lock = threading.Lock()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                length = int(self.headers.get("content-length", 0))
                message = Message(self.path, {k.lower(): v for k, v in self.headers.items()},
                                  self.rfile.read(length))
                if len(message.body) < length:
                    return
                message.handler = self
                with receiver._lock:
                    receiver.messages.append(message)
                receiver._reply(self, message)

            do_GET = do_POST

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request, client_address):
                pass  # the other side went, which is what some tests are about

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.scheme = "http"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False)
            self.scheme = "https"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def url(self, path="/hook", host="127.0.0.1"):
        return f"{self.scheme}://{host}:{self.port}{path}"

    def _reply(self, handler, message):
        answer = self.answer(message)
        if answer is None:
            return
        status, headers = answer if isinstance(answer, tuple) else (answer, {})
        message.status = status
        with contextlib.suppress(OSError):
            handler.send_response(status)
            for name, value in headers.items():
                handler.send_header(name, value)
            handler.send_header("content-length", "0")
            handler.end_headers()

    @property
    def taken(self):
        """Those that were answered as success."""
        with self._lock:
            return [m for m in self.messages if 200 <= m.status < 300]

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextlib.contextmanager
def receiver(*args, **kwargs):
    there = Receiver(*args, **kwargs)
    try:
        yield there
    finally:
        there.close()


def throw_away_ca(directory, name="ca", host="IP:127.0.0.1"):
    """A CA and a certificate for a host. Returns the CA's file, and the server's chain and key."""
    def openssl(*args):
        subprocess.run(["openssl", *args], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, cwd=directory)

    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *new, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "2",
            "-subj", f"/CN=throw-away {name}", "-addext", "basicConstraints=critical,CA:TRUE")
    openssl("req", *new, "-keyout", f"{name}-server.key", "-out", f"{name}-server.csr",
            "-subj", "/CN=receiver")
    with open(os.path.join(directory, f"{name}.ext"), "w", encoding="ascii") as f:
        f.write(f"subjectAltName={host}\nextendedKeyUsage=serverAuth\n")
    openssl("x509", "-req", "-in", f"{name}-server.csr", "-CA", f"{name}.pem", "-CAkey",
            f"{name}.key", "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext", "-out",
            f"{name}-server.pem")
    return (os.path.join(directory, f"{name}.pem"),
            (os.path.join(directory, f"{name}-server.pem"),
             os.path.join(directory, f"{name}-server.key")))
