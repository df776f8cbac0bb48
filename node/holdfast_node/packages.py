"""Packages of the distribution, in the versions that are wanted: installed where a mirror has them, and looked at.

Standard library alone, and no other part of the node program: a machine that is to become an image has only this.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

APT = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
OPTIONS = ("-q", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::http::Timeout=20", "-o", "Acquire::Retries=1")
LONGEST = 400
"""Characters of what apt said."""


class Held(Exception):
    """A try failed. `details`: all that was said."""

    def __init__(self, why: str, details: str = "") -> None:
        super().__init__(why)
        self.details = details


class Lacking(Held):
    """No mirror has a version that is wanted. One that is only behind the others gets it within the hour."""


class Progress(Protocol):
    """Whom the installation tells what it does."""

    def does(self, sentence: str) -> None:
        """A step: nothing holds it up any more."""

    def tries(self, sentence: str) -> None:
        """A step that may be held up as before."""

    def waits(self, held: Held) -> None:
        """A try has failed. Returns when it is time for the next one, or raises `held`."""


def install(packages: Mapping[str, str | None], progress: Progress) -> None:
    """Have all of them, in these versions; None: the newest."""
    while True:
        try:
            progress.tries("asks the package mirrors")
            _update()
            lacking = list(_not_offered(packages))
            if lacking:
                remedy = "pin what they have with `holdfast images update ENV`, and deploy"
                raise Lacking(f"the package mirrors lack {', '.join(lacking)}: {remedy}")
            wanted = [f"{name}={version}" if version else name for name, version in packages.items()]
            progress.does(f"installs {' '.join(wanted)}")
            _apt("packages cannot be installed", "install", "-y", "--no-install-recommends", *wanted)
            return
        except Held as held:
            progress.waits(held)


def differing(expected: Mapping[str, str]) -> list[str]:
    """Those that this machine has not, or in another version; in words."""
    have = installed(expected) if expected else {}
    return [
        f"{name} is {have.get(name, 'not installed')}, expected {version}"
        for name, version in expected.items()
        if have.get(name) != version
    ]


def installed(packages: Iterable[str]) -> dict[str, str]:
    """Name → version, of those that this machine has."""
    form = "${Package}|${Version}|${db:Status-Status}\n"
    found = subprocess.run(
        ["dpkg-query", "--show", f"--showformat={form}", *packages],
        stdout=subprocess.PIPE,
        # It says which of them nobody knows.
        stderr=subprocess.DEVNULL,
        text=True,
    ).stdout
    rows = (line.split("|") for line in found.splitlines())
    return {name: version for name, version, status in rows if status == "installed"}


def _update() -> None:
    # By default apt goes on with the mirrors that did answer: maybe without that of security updates.
    _apt("a package mirror cannot be used", "update", "-o", "APT::Update::Error-Mode=any")


def _apt(problem: str, *words: str) -> None:
    """Run apt-get.

    Raises:
        Held: with the problem, and what apt said first of it.
    """
    done = subprocess.run(
        ["apt-get", *OPTIONS, *words],
        env={**os.environ, **APT},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode != 0:
        said = [line.strip() for line in done.stdout.splitlines()]
        errors = [line[3:] for line in said if line.startswith(("E: ", "W: "))]
        # What could not be fetched, and why. After it comes what apt makes of that.
        causes = [line for line in errors if line.startswith(("Failed to fetch", "GPG error"))]
        first = (causes or errors or said[-1:] or ["apt-get said nothing"])[0]
        raise Held(f"{problem}: {first[:LONGEST]}", done.stdout)


def _not_offered(packages: Mapping[str, str | None]) -> Iterator[str]:
    """Those that no mirror has in the version wanted, and what there is instead."""
    for name, version in packages.items():
        have = _versions(name)
        if not have or (version and version not in have):
            yield " ".join(filter(None, [name, version, f"(they have {' and '.join(have) or 'none'})"]))


def _versions(package: str) -> list[str]:
    """Those that the mirrors offer."""
    found = subprocess.run(["apt-cache", "madison", package], stdout=subprocess.PIPE, text=True).stdout
    rows: Iterable[list[str]] = (line.split("|") for line in found.splitlines())
    return list(dict.fromkeys(row[1].strip() for row in rows))
