"""moto as an HTTP server of this process: one request at a time, and each known by its service and action."""

from __future__ import annotations

import io
import logging
import re
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

log = logging.getLogger(__name__)

Authorize = Callable[[str, str], bool]
Environ = dict[str, Any]

LOCK = threading.RLock()
"""Around all that reads or changes moto's state, which is the process's, whoever serves it."""

ATTEMPT = re.compile(r"attempt=(?P<number>\d+)")
SCOPE = re.compile(r"Credential=(?P<key>[^/]*)/\d{8}/[^/]*/(?P<service>[^/]*)/aws4_request")
READING = ("Describe", "Get", "List", "Head", "Lookup", "Assume", "Decode", "Simulate", "Filter", "BatchGet")


@dataclass(frozen=True)
class Call:
    """`service` as signed, empty when not signed. `action` is the API's, or for S3 the method and path."""

    service: str
    action: str

    @property
    def writes(self) -> bool:
        method, _, path = self.action.partition(" ")
        return method not in {"GET", "HEAD", "OPTIONS"} if path else not self.action.startswith(READING)


@dataclass(frozen=True)
class Request:
    """A call with what it says, for who decides whether it is allowed."""

    call: Call
    key_id: str
    """Of whoever signed it; empty when nobody did."""
    body: bytes

    @property
    def parameters(self) -> dict[str, str]:
        """Of a service that takes a form."""
        return {name: values[0] for name, values in parse_qs(self.body.decode("latin-1")).items()}


@dataclass(frozen=True)
class Refusal:
    """The answer to a call that is not allowed."""

    status: int
    content_type: str
    body: str


Permit = Callable[[Request], Refusal | None]
Headers = list[tuple[str, str]]

KEPT_ANSWERS = 1000


@dataclass
class Answer:
    """As it is sent."""

    status: str = ""
    headers: Headers = field(default_factory=list)
    body: bytes = b""


class Server:
    """A listening socket served by threads."""

    def __init__(self, server: BaseWSGIServer) -> None:
        self._server = server
        self.port: int = server.socket.getsockname()[1]
        self._thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Service:
    """The API as a WSGI application. Requests run one by one under `LOCK`; `after` is told of each, still under it."""

    def __init__(self, after: Callable[[Call], None]) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._after = after
        self._answers: dict[str, Answer] = {}
        """To calls that changed something: by the id that an SDK gives to a call and all its repetitions."""

    def listen(self, address: str, port: int) -> Server:
        server = make_server(address, port, self._answer, threaded=True, request_handler=_Handler)
        # Its end waits for the answers under way: a call that was carried out and not answered is made again.
        server.daemon_threads = False  # type: ignore[attr-defined]
        return Server(server)

    def listen_on(
        self, listening: socket.socket, authorize: Authorize | None = None, permit: Permit | None = None
    ) -> Server:
        def answer(environ: Environ, start_response: Any) -> Iterable[bytes]:
            if authorize and not authorize(environ["REMOTE_ADDR"], _service(environ)):
                # No route is no answer.
                _read(environ)
                environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
                raise ConnectionAbortedError
            return self._answer(environ, start_response, permit)

        address, port = listening.getsockname()
        return Server(
            make_server(address, port, answer, threaded=True, request_handler=_Handler, fd=listening.fileno())
        )

    def _answer(self, environ: Environ, start_response: Any, permit: Permit | None = None) -> Iterable[bytes]:
        # Read before the lock is taken: a slow sender must not hold up the others.
        body = _read(environ)
        call = Call(_service(environ), _action(environ, body))
        with LOCK:
            refusal = permit(Request(call, _signed(environ, "key"), body)) if permit else None
            if refusal:
                start_response(f"{refusal.status} Refused", [("Content-Type", refusal.content_type)])
                return [refusal.body.encode()]
            answer = self._repeated(environ, call) or self._carry_out(environ, call)
        start_response(answer.status, answer.headers)
        return [answer.body]

    def _repeated(self, environ: Environ, call: Call) -> Answer | None:
        """The answer that was given to the same call before: its caller has not got it, and asks again.

        A busy machine loses one now and then. Done twice, what was done would be refused: AWS, which loses none, takes
        no such repetition.
        """
        attempt = ATTEMPT.search(environ.get("HTTP_AMZ_SDK_REQUEST", ""))
        answer = self._answers.get(environ.get("HTTP_AMZ_SDK_INVOCATION_ID", ""))
        if attempt is None or int(attempt["number"]) == 1 or answer is None:
            return None
        log.warning("%s %s is asked for again: its answer was lost", call.service, call.action)
        return answer

    def _carry_out(self, environ: Environ, call: Call) -> Answer:
        answer = Answer()

        def start_response(status: str, headers: Headers, _: object = None) -> None:
            answer.status, answer.headers = status, headers

        answer.body = b"".join(self._moto(environ, start_response))
        self._after(call)
        invocation = environ.get("HTTP_AMZ_SDK_INVOCATION_ID")
        if invocation and call.writes and answer.status.startswith("2"):
            self._answers[invocation] = answer
            if len(self._answers) > KEPT_ANSWERS:
                self._answers.pop(next(iter(self._answers)))
        return answer


class _Handler(WSGIRequestHandler):
    """Without a line of log per request."""

    timeout = 10

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


def _read(environ: Environ) -> bytes:
    stream = environ["wsgi.input"]
    if environ.get("wsgi.input_terminated"):
        body = stream.read()
    else:
        body = stream.read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    return bytes(body)


def _service(environ: Environ) -> str:
    return _signed(environ, "service")


def _signed(environ: Environ, part: str) -> str:
    """`key` or `service` of a SigV4 signature, in the header or in a presigned address; empty where there is none."""
    query = parse_qs(environ.get("QUERY_STRING", "")).get("X-Amz-Credential", [""])[0]
    match = SCOPE.search(environ.get("HTTP_AUTHORIZATION") or f"Credential={query}")
    return match[part] if match else ""


def _action(environ: Environ, body: bytes) -> str:
    target = environ.get("HTTP_X_AMZ_TARGET")
    if target:
        return str(target).rpartition(".")[2]
    form = str(environ.get("CONTENT_TYPE", "")).startswith("application/x-www-form-urlencoded")
    action = parse_qs(body.decode("latin-1") if form else environ.get("QUERY_STRING", "")).get("Action")
    return action[0] if action else f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
