"""A forward proxy to the distributions' package mirrors, the only part of the internet that the twin's VPCs have."""

from __future__ import annotations

import http.client
import shutil
import urllib.request
from functools import cache
from urllib.parse import urlsplit

from holdfast.twin.run import CommandFailed, run
from holdfast.twin.web import Handler

MIRRORS = frozenset({"deb.debian.org", "security.debian.org", "archive.ubuntu.com", "security.ubuntu.com"})
TIMEOUT = 60.0

PASSED_ON = ("Accept", "Cache-Control", "If-Modified-Since", "If-Range", "Range", "User-Agent")
PASSED_BACK = ("Accept-Ranges", "Content-Range", "Content-Type", "ETag", "Last-Modified", "Location")


@cache
def mirrors() -> frozenset[str]:
    """The hosts that machines may fetch from: the distributions', and where this host gets its own packages."""
    try:
        lines = run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]).splitlines()
    except CommandFailed:
        return MIRRORS
    return MIRRORS | {urlsplit(line).hostname or "" for line in lines if line.startswith("http:")}


@cache
def host_proxy() -> str | None:
    """`host:port` of the proxy that this host itself needs, from its environment or its apt settings."""
    try:
        settings = dict(line.rstrip(";").partition(" ")[::2] for line in run(["apt-config", "dump"]).splitlines())
    except CommandFailed:
        settings = {}
    found = urllib.request.getproxies().get("http") or settings.get("Acquire::http::Proxy", "").strip('"')
    return urlsplit(found).netloc if found.startswith("http://") else None


class Mirrors(Handler):
    """For `web.Server`. Answers are passed on as they arrive, one connection to the mirror for each request."""

    def do_GET(self) -> None:
        self._fetch()

    def do_HEAD(self) -> None:
        self._fetch()

    def _fetch(self) -> None:
        target = urlsplit(self.path)
        if target.scheme != "http" or target.hostname not in mirrors():
            self.answer(403, f"the twin's internet has package mirrors only: {', '.join(sorted(mirrors()))}\n".encode())
            return
        headers = {name: self.headers[name] for name in PASSED_ON if name in self.headers}
        proxy = host_proxy()
        upstream = http.client.HTTPConnection(proxy or target.netloc, timeout=TIMEOUT)
        wanted = self.path if proxy else target._replace(scheme="", netloc="").geturl()
        try:
            upstream.request(self.command, wanted, headers={"Host": target.netloc, **headers})
            answer = upstream.getresponse()
        except OSError as error:
            upstream.close()
            self.answer(502, f"{target.netloc}: {error}\n".encode())
            return
        try:
            self._pass_back(answer)
        finally:
            upstream.close()

    def _pass_back(self, answer: http.client.HTTPResponse) -> None:
        self.send_response(answer.status)
        for name in PASSED_BACK:
            if answer.headers[name] is not None:
                self.send_header(name, answer.headers[name])
        length = answer.headers["Content-Length"]
        if length is None:
            # Then only the end of the connection tells where the answer ends.
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", length)
        self.end_headers()
        shutil.copyfileobj(answer, self.wfile)
        self.wfile.flush()
