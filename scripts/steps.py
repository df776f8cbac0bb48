"""Runs one step of a longer job: `python scripts/steps.py LOG STEP -- COMMAND...`.

All that the command says is appended to LOG, without colours.
The screen gets one line when the step ends; where the command is cdktf, one line for each stack as soon as it ends.
When the command fails, the screen gets its first error with what follows, or else the end of what it said; then one
sentence with the step, the exit code and LOG.
The exit code is the command's.
"""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

SHOWN_OF_A_FAILURE = 40
"""Lines."""

COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
NAMED = re.compile(r"([a-z][a-z0-9-]+) {2,}")
"""cdktf names the stack in the first line of what it prints at once; the lines after it are indented."""
INITIALIZED = "Terraform has been successfully initialized!"
PLANS = re.compile(r": (Reading|Refreshing state)\.\.\.|generate the following execution plan|^No changes\.")
ENDED = re.compile(r"(Apply|Destroy) complete!")
ERROR = re.compile(r"(│ )?Error: ")


def said(step: str, seconds: float) -> str:
    return f"{step:<20} {seconds:>4.0f} s"


class Stacks:
    """Follows the stacks in cdktf's output. Times are seconds of any one clock.

    cdktf initializes all stacks, one after the other; then each is planned as soon as those before it have ended.
    Terraform is silent while it begins to plan, so a stack's time counts from what ended last before its first line.
    """

    def __init__(self, began: float) -> None:
        self._began = began
        self._last = began
        self._stack = ""
        self._since: dict[str, float] = {}
        self.ended: list[str] = []
        self.failed: list[str] = []
        """Stacks with an error, in the order in which they said so."""

    def hear(self, line: str, now: float) -> list[str]:
        """The step lines that are known with this line of the output."""
        if named := NAMED.match(line):
            self._stack = named[1]
        text = line.removeprefix(named[0] if named else "").strip()
        lines = []
        if text == INITIALIZED:
            self._last = now
        elif PLANS.search(text) and self._stack:
            if not self._since:
                lines.append(said("synthesis, init", self._last - self._began))
            self._since.setdefault(self._stack, self._last)
        elif ENDED.match(text) and self._stack:
            lines.append(said(self._stack, now - self._since.get(self._stack, self._last)))
            self._last = now
            self.ended.append(self._stack)
        elif ERROR.match(text) and self._stack and self._stack not in self.failed:
            self.failed.append(self._stack)
        return lines


def run(log: Path, step: str, command: list[str]) -> int:
    interrupted = False

    def note(*_: object) -> None:
        # A terminal interrupts the command too. This waits for it: Terraform still writes its state.
        nonlocal interrupted
        interrupted = True

    signal.signal(signal.SIGINT, note)  # a handler, which the command does not inherit; it would inherit SIG_IGN
    log.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    stacks, end, first = Stacks(began), deque[str](maxlen=SHOWN_OF_A_FAILURE), list[str]()
    with (
        log.open("a") as details,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        ) as running,
    ):
        signal.signal(signal.SIGTERM, lambda *_: running.terminate())
        assert running.stdout is not None
        for coloured in running.stdout:
            line = COLOUR.sub("", coloured).rstrip()
            print(line, file=details, flush=True)
            end.append(line)
            for known in stacks.hear(line, time.monotonic()):
                print(known, flush=True)
            # Others go on for minutes after it.
            if stacks.failed and len(first) < SHOWN_OF_A_FAILURE:
                first.append(line)
    seconds = time.monotonic() - began
    code = running.returncode if running.returncode >= 0 else 128 - running.returncode
    if interrupted:
        print(f"{step} was interrupted after {seconds:.0f} s; the details are in {log}", file=sys.stderr)
        return code or 128 + signal.SIGINT
    if code:
        where = f"{step} ({', '.join(stacks.failed)})" if stacks.failed else step
        print(*(first or end), "", sep="\n", file=sys.stderr)
        print(f"{where} failed after {seconds:.0f} s with exit code {code}; the details are in {log}", file=sys.stderr)
    elif not stacks.ended:
        print(said(step, seconds), flush=True)
    return code


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", type=Path)
    parser.add_argument("step", help="what the screen calls it")
    parser.add_argument("command", nargs="+")
    asked = parser.parse_args()
    sys.exit(run(asked.log, asked.step, asked.command))


if __name__ == "__main__":
    main()
