"""Installs the packages that a stock image lacks, and says meanwhile what it waits for: on the console and as a report.

Tries until it has them, in the versions that were pinned. The node program does not run yet: the report is this one's.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from holdfast_node import aws
from holdfast_node.cloud import Cloud
from holdfast_node.identity import Identity
from holdfast_node.log import say

FILE = Path("/etc/holdfast/packages.json")
"""Package → version; null: the newest."""

RETRY, REPORT = 3.0, 5.0
"""Seconds until the next try, and between two reports while nothing changes."""

APT = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
OPTIONS = ("-q", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::http::Timeout=20", "-o", "Acquire::Retries=1")
LONGEST = 400
"""Characters of what apt said."""


class Held(Exception):
    """A try failed. `details`: all that was said."""

    def __init__(self, why: str, details: str = "") -> None:
        super().__init__(why)
        self.details = details


class Progress:
    """What a first boot does, or waits for."""

    def __init__(self, me: Identity) -> None:
        self._me, self._ended, self._news = me, threading.Event(), threading.Event()
        self._sentence, self._since, self._held = "begins", time.time(), False
        self._reporter = threading.Thread(target=self._report, daemon=True)

    def __enter__(self) -> Progress:
        self._reporter.start()
        return self

    def __exit__(self, *_: object) -> None:
        """With a last report. After this, nobody writes the node's but its own program."""
        self._ended.set()
        self._news.set()
        self._reporter.join()

    def does(self, sentence: str) -> None:
        """A step: nothing holds it up any more."""
        self._held = False
        self._tell(sentence)

    def tries(self, sentence: str) -> None:
        """A step that may be held up as before: then that is what is told."""
        if not self._held:
            self._tell(sentence)

    def waits(self, held: Held) -> None:
        """A try has failed, and comes again."""
        # One mirror has many addresses, and apt names another one each time: that is no other wait.
        since = self._since if self._held else None
        self._held = True
        self._tell(str(held), since, held.details)
        time.sleep(RETRY)

    def _tell(self, sentence: str, since: float | None = None, details: str = "") -> None:
        if sentence != self._sentence:
            self._sentence, self._since = sentence, since or time.time()
            say(f"{details}first boot: {sentence}")
            self._news.set()

    def _report(self) -> None:
        cloud, said, last = Cloud(self._me), "", False
        while not last:
            self._news.clear()
            last = self._ended.is_set()
            try:
                cloud.put_report(self.report(aws.instance_id()))
                said = ""
            except Exception as error:
                # Without it the node is only not seen.
                if str(error) != said:
                    said = str(error)
                    say(f"first boot: cannot report yet: {error}")
            if not last:
                self._news.wait(REPORT)

    def report(self, instance: str) -> dict[str, object]:
        """As the agent's: see node/README.md."""
        me, since = self._me, time.strftime("%H:%M:%S", time.gmtime(self._since))
        return {
            "version": 1,
            "node": me.node,
            "zone": me.zone,
            "instance_id": instance,
            "program": me.program,
            "address": me.address,
            "decision": f"first boot: {self._sentence} (since {since} UTC)",
            "roles": me.roles,
            "ready": False,
            "redis": {"role": "down", "replicas": []} if me.has("data") else None,
            "sentinel": {"leader": None},
            "gateway": {"floating": False} if me.has("gateway") else None,
            "reported_at": time.time(),
        }


def run(me: Identity) -> None:
    """Have the packages of `FILE`; of a baked image there are none."""
    packages: dict[str, str | None] = json.loads(FILE.read_text(encoding="utf-8"))
    if packages:
        with Progress(me) as progress:
            install(packages, progress)
            progress.does("starts the node program")


def install(packages: Mapping[str, str | None], progress: Progress) -> None:
    """Have all of them, in these versions; None: the newest."""
    while True:
        try:
            progress.tries("asks the package mirrors")
            _update()
            lacking = list(_not_offered(packages))
            if lacking:
                remedy = "pin what they have with `holdfast images update ENV`, and deploy"
                raise Held(f"the package mirrors lack {', '.join(lacking)}: {remedy}")
            wanted = [f"{name}={version}" if version else name for name, version in packages.items()]
            progress.does(f"installs {' '.join(wanted)}")
            _apt("packages cannot be installed", "install", "-y", "--no-install-recommends", *wanted)
            return
        except Held as held:
            progress.waits(held)


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
