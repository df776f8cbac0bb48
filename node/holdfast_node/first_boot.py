"""Installs the packages that a stock image lacks, and says meanwhile what it waits for: on the console and as a report.

Tries until it has them, in the versions that were pinned. Those of a baked image it compares with what was pinned.
The node program does not run yet: the report is this one's.
"""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

from holdfast_node import aws
from holdfast_node.cloud import Cloud
from holdfast_node.identity import Identity
from holdfast_node.log import say
from holdfast_node.packages import Held, differing, install

FILE = Path("/etc/holdfast/packages.json")
"""Package → version; null: the newest."""

BAKED = Path("/etc/holdfast/baked.json")
"""The same of what is in a baked image; without it, nobody wrote that down."""

RETRY, REPORT = 3.0, 5.0
"""Seconds until the next try, and between two reports while nothing changes."""


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
    """Have the packages of `FILE`; a baked image has them, and is to have those of `BAKED`."""
    packages: dict[str, str | None] = json.loads(FILE.read_text(encoding="utf-8"))
    baked: dict[str, str] = json.loads(BAKED.read_text(encoding="utf-8")) if BAKED.exists() else {}
    if not packages and not differing(baked):
        return
    with Progress(me) as progress:
        if packages:
            install(packages, progress)
        while wrong := differing(baked):
            progress.waits(Held(f"the image is another one than was pinned: {'; '.join(wrong)}"))
        progress.does("starts the node program")
