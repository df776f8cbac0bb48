"""Puts Terraform into `.holdfast/bin` when there is none here that is new enough."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import shutil
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path

BIN = Path(__file__).resolve().parents[1] / ".holdfast" / "bin"

OLDEST = (1, 11)
"""As stacks/base.py requires."""

VERSION = "1.11.4"
URL = f"https://releases.hashicorp.com/terraform/{VERSION}/terraform_{VERSION}_linux_amd64.zip"
SHA256 = "1ce994251c00281d6845f0f268637ba50c0005657eb3cf096b92f753b42ef4dc"

TIMEOUT = 60
"""Seconds without a byte."""


def version_of(terraform: Path | str | None) -> tuple[int, ...]:
    """Of a terraform command; empty when it is none."""
    if terraform is None or not Path(terraform).exists():
        return ()
    done = subprocess.run([terraform, "version", "-json"], capture_output=True, text=True)
    try:
        return tuple(int(part) for part in json.loads(done.stdout)["terraform_version"].split("-")[0].split("."))
    except ValueError:
        return ()


def install() -> None:
    """Raises OSError when it cannot be fetched, ValueError when what was fetched is not what is pinned."""
    with urllib.request.urlopen(URL, timeout=TIMEOUT) as answer:
        content = answer.read()
    if (found := hashlib.sha256(content).hexdigest()) != SHA256:
        raise ValueError(f"its SHA-256 is {found}, expected {SHA256}")
    BIN.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extract("terraform", BIN)
    (BIN / "terraform").chmod(0o755)


def main() -> int:
    oldest = ".".join(map(str, OLDEST))
    here = version_of(shutil.which("terraform"))
    if here >= OLDEST or version_of(BIN / "terraform") >= OLDEST:
        return 0
    advice = f"install Terraform {oldest} or newer, and run this again"
    if here:
        # It comes first in PATH, and so would hide ours.
        print(f"found Terraform {'.'.join(map(str, here))}: {advice}", file=sys.stderr)
        return 1
    if platform.machine() != "x86_64":
        print(f"no Terraform here, and none is pinned for {platform.machine()}: {advice}", file=sys.stderr)
        return 1
    try:
        install()
    except (OSError, ValueError) as error:
        print(f"no Terraform here, and {URL} failed: {error}; {advice}", file=sys.stderr)
        return 1
    print(f"Terraform {VERSION} is in {BIN}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
