"""moto as an HTTP server of this process: one request at a time, and each known by its service and action."""

from __future__ import annotations

import io
import json
import logging
import re
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from moto.moto_server import werkzeug_app
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from holdfast.twin.api import signatures

# moto lets every web page read its answers.
werkzeug_app.DISABLE_GLOBAL_CORS = True

log = logging.getLogger(__name__)

Authorize = Callable[[str, str], bool]
Environ = dict[str, Any]

LOCK = threading.RLock()
"""Around all that reads or changes moto's state, which is the process's, whoever serves it."""

ATTEMPT = re.compile(r"attempt=(?P<number>\d+)")
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
    body: bytes
    environ: Environ = field(repr=False)
    signature: signatures.Signature | None

    @property
    def if_none_match(self) -> str | None:
        """The header: `*` where an object is to be written only if there is none."""
        header: str | None = self.environ.get("HTTP_IF_NONE_MATCH")
        return header

    @property
    def bucket_owner(self) -> str | None:
        """The header: the account that is to own the bucket, where the caller cares."""
        header: str | None = self.environ.get("HTTP_X_AMZ_EXPECTED_BUCKET_OWNER")
        return header

    @property
    def parameters(self) -> dict[str, str]:
        """Of a service that takes a form."""
        return {name: values[0] for name, values in parse_qs(self.body.decode("latin-1")).items()}

    def signed_with(self, secret: str) -> bool:
        return self.signature is not None and signatures.fits(self.signature, self.environ, self.body, secret)


@dataclass(frozen=True)
class Refusal:
    """The answer to a call that is not allowed."""

    status: int
    content_type: str
    body: str


JSON_SERVICES = ("kms", "logs", "secretsmanager", "ssm")


def refuse(call: Call, code: str | None, message: str) -> Refusal:
    """As the service words it; `code` None: its own for what a role is not allowed."""
    if call.service in JSON_SERVICES:
        content = {"__type": code or "AccessDeniedException", "message": message}
        return Refusal(403 if code else 400, "application/x-amz-json-1.1", json.dumps(content))
    if call.service == "ec2":
        error = _error(code or "UnauthorizedOperation", message)
        return Refusal(403, "text/xml", f"<Response><Errors>{error}</Errors></Response>")
    error = _error(code or "AccessDenied", message)
    # Also to whoever has not signed for any service.
    return Refusal(403, "application/xml", error if call.service == "s3" else f"<ErrorResponse>{error}</ErrorResponse>")


def _error(code: str, message: str) -> str:
    return f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"


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
        self._moto = werkzeug_app.DomainDispatcherApplication(werkzeug_app.create_backend_app)
        self._after = after
        self._answers: dict[str, Answer] = {}
        """To calls that changed something: by the id that an SDK gives to a call and all its repetitions."""

    def listen(self, address: str, port: int, permit: Permit) -> Server:
        def answer(environ: Environ, start_response: Any) -> Iterable[bytes]:
            return self._answer(environ, start_response, permit)

        server = make_server(address, port, answer, threaded=True, request_handler=_Handler)
        # Its end waits for the answers under way: a call that was carried out and not answered is made again.
        server.daemon_threads = False  # type: ignore[attr-defined]
        return Server(server)

    def listen_on(self, listening: socket.socket, authorize: Authorize, permit: Permit) -> Server:
        def answer(environ: Environ, start_response: Any) -> Iterable[bytes]:
            if not authorize(environ["REMOTE_ADDR"], _service(environ)):
                # No route is no answer.
                _read(environ)
                environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
                raise ConnectionAbortedError
            return self._answer(environ, start_response, permit)

        address, port = listening.getsockname()
        return Server(
            make_server(address, port, answer, threaded=True, request_handler=_Handler, fd=listening.fileno())
        )

    def _answer(self, environ: Environ, start_response: Any, permit: Permit) -> Iterable[bytes]:
        # Read before the lock is taken: a slow sender must not hold up the others.
        body = _read(environ)
        call = Call(_service(environ), _action(environ, body))
        with LOCK:
            request = Request(call, body, environ, signatures.read(environ))
            refusal = _foreign(environ, call) or permit(request) or _dry(request)
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
    signature = signatures.read(environ)
    return signature.service if signature else ""


def _foreign(environ: Environ, call: Call) -> Refusal | None:
    """What no client of the twin sends, whoever signed it: a web page's request, and one to moto's own pages."""
    here, host = f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}", environ.get("HTTP_HOST", "")
    if "HTTP_ORIGIN" in environ:
        return refuse(call, "AccessDenied", "The request has an Origin: web pages are not served.")
    if host != here:
        # Else a page whose name was made to lead here would be taken for one of the twin's own.
        return refuse(call, "AccessDenied", f"The request is for the host {host or 'none'}; accepted: {here}.")
    if environ["PATH_INFO"].startswith("/moto-api"):
        return refuse(call, "AccessDenied", "moto's own pages are not served.")
    return None


def _dry(request: Request) -> Refusal | None:
    """EC2's answer to who only asks whether it may. moto does it all the same."""
    if request.call.service != "ec2" or request.parameters.get("DryRun") != "true":
        return None
    would = "Request would have succeeded, but DryRun flag is set."
    return replace(refuse(request.call, "DryRunOperation", would), status=412)


def _action(environ: Environ, body: bytes) -> str:
    target = environ.get("HTTP_X_AMZ_TARGET")
    if target:
        return str(target).rpartition(".")[2]
    form = str(environ.get("CONTENT_TYPE", "")).startswith("application/x-www-form-urlencoded")
    action = parse_qs(body.decode("latin-1") if form else environ.get("QUERY_STRING", "")).get("Action")
    return action[0] if action else f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
