"""HTTP servers on sockets that exist already, such as those inside a router's namespace."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address


class Handler(BaseHTTPRequestHandler):
    """Keeps connections open and writes no line of log per request."""

    protocol_version = "HTTP/1.1"
    timeout = 60
    # Head and body of an answer leave as separate packets otherwise, and the second waits for an acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True

    @property
    def caller(self) -> IPv4Address:
        return IPv4Address(self.client_address[0])

    def answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server:
    """Serves a listening socket on threads of its own until it is stopped."""

    def __init__(self, listening: socket.socket, handler: type[Handler]) -> None:
        self._server = _Quiet(listening.getsockname(), handler, bind_and_activate=False)
        self._server.socket.close()
        self._server.socket = listening
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True, name="web"
        )
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A machine that hangs up, because its power was cut, is no news."""
