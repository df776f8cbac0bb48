"""A metadata service of one machine, IMDSv2 only, enough for cloud-init. Arguments: instance id, user-data file."""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

INSTANCE_ID, USER_DATA = sys.argv[1], Path(sys.argv[2]).read_bytes()
MAC = "02:00:00:00:00:01"
LEAVES = {
    "user-data": USER_DATA,
    "dynamic/instance-identity/document": json.dumps({"instanceId": INSTANCE_ID}).encode(),
    "meta-data/instance-id": INSTANCE_ID.encode(),
    "meta-data/iam/security-credentials/role": json.dumps(
        {"AccessKeyId": "any", "SecretAccessKey": "any", "Token": "any", "Expiration": "2100-01-01T00:00:00Z"}
    ).encode(),
    "meta-data/local-hostname": b"ip-10-99-0-2",
    "meta-data/placement/availability-zone": b"eu-central-1a",
    f"meta-data/network/interfaces/macs/{MAC}/device-number": b"0",
    f"meta-data/network/interfaces/macs/{MAC}/local-ipv4s": b"10.99.0.2",
}


class Metadata(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        self.answer(200, b"token", {"X-aws-ec2-metadata-token-ttl-seconds": "21600"})

    def do_GET(self) -> None:
        if self.headers.get("X-aws-ec2-metadata-token") != "token":
            self.answer(401)
            return
        _, _, path = self.path.strip("/").partition("/")
        below = {leaf.removeprefix(f"{path}/") for leaf in LEAVES if leaf.startswith(f"{path}/")}
        if path in LEAVES:
            self.answer(200, LEAVES[path])
        elif below:
            names = {name.partition("/")[0] + ("/" if "/" in name else "") for name in below}
            self.answer(200, "\n".join(sorted(names)).encode())
        else:
            self.answer(404)

    def answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("169.254.169.254", 80), Metadata).serve_forever()
