"""S3 for a first boot. Arguments: the file that gets what is put, and the one that is got, whatever is asked for."""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Bucket(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        content = Path(sys.argv[2]).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_PUT(self) -> None:
        new = Path(f"{sys.argv[1]}.new")
        new.write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
        new.rename(sys.argv[1])
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("198.51.100.1", 5599), Bucket).serve_forever()
