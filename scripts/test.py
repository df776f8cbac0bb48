"""`make test [PART=…] [KEEP=1]`: everything that tests, or one part of it, with what it needs and nothing else.

Fast things first (`make check` is these alone), then the twin's in two lanes (tests/twin/turns.py), with Terraform's
tests at the end of the shorter one.
At the end, what each part took; where something failed, the first failure comes last.
Arguments after `--`: what to put before a command that needs root; nothing for root.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
LOGS = REPOSITORY / ".holdfast" / "log" / "test"

BUDGET_MINUTES = 85
"""A whole run that takes longer fails: what comes in has to find its time. It may shrink, and not grow."""

LANES = (("twin/faults", "twin/cluster", "twin/attacks", "twin/parts"), ("twin/members", "twin/layouts", "terraform"))
"""Each lane's parts in their order, the lanes beside each other. The parts of the twin share it."""

TWIN = tuple(part for lane in LANES for part in lane if part.startswith("twin/"))
FAST = ("lint", "unit", "synth", "simulation")
LONG = "terraform/long"
"""Not in the whole: minutes of Terraform alone. A nightly workflow runs it."""

SUCCESSOR = "successor"
"""Not in the whole: what it needs takes half a gigabyte to install (Makefile). A nightly workflow runs it."""

GROUPS = {"all": (*FAST, "terraform", *TWIN), "check": FAST, "twin": TWIN} | {
    part: (part,) for part in (*FAST, "terraform", LONG, SUCCESSOR, *TWIN)
}

SIMULATED_SECONDS = 60
"""Of real time, always from the first schedule on: a run that finds what another one did not would surprise its author.
The nightly workflow looks further."""

OPTIONS = ["-q", "--tb=short", "--durations=10", "--durations-min=5", "-o", "console_output_style=classic"]
AS_ROOT = ["PYTHONDONTWRITEBYTECODE=1", "HOLDFAST_TEST_KEEP=1"]
"""Root must leave no files here that the owner cannot remove; and the lanes share what is up."""

REPEATABLE = {"PYTHONHASHSEED": "0"}
"""A schedule of the simulation plays as `make simulate` plays it: the order of sets is a part of it."""

AGAIN = "RERUN "
"""How pytest's summary begins a line about a test that was run once more."""


@dataclass(frozen=True)
class Failure:
    test: str
    at: float
    text: str


@dataclass
class Run:
    """One command, and what it came to."""

    name: str
    seconds: float = 0.0
    code: int = 0
    passed: int = 0
    skipped: int = 0
    failures: list[Failure] = field(default_factory=list)

    @property
    def log(self) -> Path:
        return LOGS / f"{self.name.replace('/', '-').replace(' ', '-')}.log"

    @property
    def well(self) -> bool:
        return self.code == 0 and not self.failures

    def again(self) -> list[str]:
        """Tests that were run once more (tests/twin/measured.py)."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return [line.removeprefix(AGAIN) for line in lines if line.startswith(AGAIN)]

    def row(self) -> str:
        verdict = "passed" if self.well else "FAILED"
        counts = f"{self.passed} passed, {len(self.failures)} failed" if self.passed or self.failures else ""
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.name:14} {verdict}  {self.seconds:6.0f} s  {counts}{skipped}".rstrip()


class Runner:
    """Starts what runs beside each other, and ends all of it when it is interrupted."""

    def __init__(self, root: Sequence[str]) -> None:
        self.root = [*root, "env", f"PATH={os.environ['PATH']}", *AS_ROOT]
        self.runs: list[Run] = []
        self._started = time.monotonic()
        self.processes: list[subprocess.Popen[bytes]] = []
        self._interrupted = False

    def run(self, name: str, command: Sequence[str], *, behind: bool = False) -> Run:
        """`behind`: with what the others leave of the cores."""
        run = Run(name)
        if self._interrupted:
            return run
        self.runs.append(run)
        began = time.monotonic()
        with run.log.open("wb") as log:
            process = subprocess.Popen(
                command, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True, env=os.environ | REPEATABLE,
            )  # fmt: skip
            self.processes.append(process)
            if behind:
                _stand_back(process.pid)
            run.code = process.wait()
        run.seconds = time.monotonic() - began
        self.say(run.row())
        return run

    def pytest(self, name: str, *arguments: str, root: bool = False, behind: bool = False) -> Run:
        report = LOGS / f"{name.replace('/', '-')}.xml"
        report.unlink(missing_ok=True)
        command = ["pytest", *OPTIONS, f"--junitxml={report}", *arguments]
        if root:
            command = [*self.root, *command, "-p", "no:cacheprovider"]
        run = self.run(name, command, behind=behind)
        _read(report, run)
        return run

    def say(self, sentence: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self._started), 60)
        print(f"{minutes:3}:{seconds:02}  {sentence}", flush=True)

    def minutes(self) -> float:
        return (time.monotonic() - self._started) / 60

    def interrupt(self) -> None:
        """End what runs, as Ctrl-C ends it, and start nothing more."""
        self._interrupted = True
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
        for process in self.processes:
            process.wait()


def _stand_back(process: int) -> None:
    """Give a new session the lowest priority; where Linux shares cores between sessions, to the session as well."""
    os.setpriority(os.PRIO_PROCESS, process, 19)
    session = Path(f"/proc/{process}/autogroup")
    if session.exists():
        session.write_text("19")


def _read(report: Path, run: Run) -> None:
    """What pytest noted of each test."""
    if not report.exists():
        return
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):
        at = datetime.fromisoformat(suite.get("timestamp", "1970-01-01")).timestamp()
        # One that was run once more is there twice, and its end counts.
        cases = {(case.get("classname", ""), case.get("name")): case for case in suite.iter("testcase")}
        for (file, name), case in cases.items():
            at += float(case.get("time", 0))
            test = f"{file.replace('.', '/')}::{name}"
            broken = [it for it in case if it.tag in ("failure", "error")]
            run.failures += [Failure(test, at, it.text or it.get("message") or "") for it in broken]
            run.skipped += any(it.tag == "skipped" for it in case)
            run.passed += not len([it for it in case if it.tag in ("failure", "error", "skipped")])


def everything(runner: Runner, parts: Sequence[str], keep: bool) -> None:
    fast(runner, parts)
    if any(part in parts for part in TWIN):
        twin(runner, parts, keep)
    elif "terraform" in parts:
        terraform(runner)
    elif LONG in parts:
        runner.pytest(LONG, "-n", "2", "--dist", "loadfile", "-m", "long", "tests/terraform")
    elif SUCCESSOR in parts:
        runner.pytest(SUCCESSOR, "tests/successor")


def fast(runner: Runner, parts: Sequence[str]) -> None:
    if "lint" in parts:
        runner.run("lint", ["scripts/lint.sh"])
    for part in ("unit", "synth"):
        if part in parts:
            runner.pytest(part, "-n", "2", f"tests/{part}")
    if "simulation" in parts:
        simulate = ["python", "-m", "tests.simulation", "--seconds", str(SIMULATED_SECONDS)]
        run = runner.run("simulation", ["env", "PYTHONPATH=.:node", *simulate])
        # Neither where it was interrupted before, nor where it said nothing.
        if run in runner.runs:
            for line in run.log.read_text().splitlines()[-1:]:
                runner.say(f"{'':16}{line}")


def terraform(runner: Runner, *, behind: bool = False) -> None:
    """Most of it waits for the provider. What shares an environment stays together (tests/terraform/conftest.py)."""
    runner.pytest("terraform", "-n", "2", "--dist", "loadfile", "-m", "not long", "tests/terraform", behind=behind)


def twin(runner: Runner, parts: Sequence[str], keep: bool) -> None:
    environments = [*runner.root, "python", "-m", "tests.twin.environments"]
    if not keep and not runner.run("twin down", [*environments, "down"]).well:
        return
    of_the_twin = tuple(part for part in TWIN if part in parts)
    if not runner.run("twin up", [*environments, "up", *of_the_twin]).well:
        return
    lanes = [[part for part in lane if part in parts] for lane in LANES]
    with ThreadPoolExecutor(len(LANES)) as pool:
        list(pool.map(lambda lane: _lane(runner, lane), lanes))
    if keep:
        return
    if of_the_twin == TWIN:
        runner.pytest("twin/end", "-m", "ends_the_cluster", "tests/twin", root=True)
    runner.run("twin down", [*environments, "down"])


def _lane(runner: Runner, parts: Sequence[str]) -> None:
    for part in parts:
        if part == "terraform":
            terraform(runner, behind=True)
        else:
            runner.pytest(part, "-m", "not ends_the_cluster", f"tests/{part}", root=True)


def tell(runner: Runner, whole: bool) -> int:
    """The end of what is printed; the exit code."""
    for run in runner.runs:
        _tell_figures(run)
    print()
    print("\n".join(run.row() for run in runner.runs))
    for test in (test for run in runner.runs for test in run.again()):
        print(f"measured again: {test}")
    late = whole and runner.minutes() > BUDGET_MINUTES
    print(f"{runner.minutes():.1f} minutes" + (f" of {BUDGET_MINUTES}" if whole else ""))
    if late:
        print(f"the whole takes longer than {BUDGET_MINUTES} minutes (BUDGET_MINUTES in scripts/test.py)")
    failures = sorted((failure for run in runner.runs for failure in run.failures), key=lambda failure: failure.at)
    skipped = sum(run.skipped for run in runner.runs)
    passed = sum(run.passed for run in runner.runs)
    if passed or failures:
        print(f"{passed} passed, {len(failures)} failed" + (f", {skipped} skipped" if skipped else ""))
    for failure in reversed(failures):
        print(f"\nFAILED {failure.test}")
    if failures:
        print(f"\nthe first failure, {failures[0].test}:\n{failures[0].text}")
    else:
        for run in runner.runs:
            if not run.well:
                print(f"\n{run.name} ended with {run.code}; the end of {run.log.relative_to(REPOSITORY)}:")
                print("\n".join(run.log.read_text(errors="replace").splitlines()[-40:]))
                break
    return 1 if late or not all(run.well for run in runner.runs) else 0


def _tell_figures(run: Run) -> None:
    """The sections of a part's log in which it says what faults cost, and where its time went."""
    shown, lines = False, run.log.read_text(errors="replace").splitlines() if run.log.exists() else []
    for line in lines:
        if line.startswith("="):
            shown = "what each fault cost" in line or "slowest" in line
            if shown:
                print(f"\n{run.name}: {line.strip('= ')}")
        elif shown and line.strip():
            print(line)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make test", description=__doc__)
    parser.add_argument("--part", default="all", choices=GROUPS)
    parser.add_argument("--keep", action="store_true", help="use a twin that is up, and leave it up")
    parser.add_argument("root", nargs="*", help=argparse.SUPPRESS)
    given = parser.parse_args()
    parts = GROUPS[given.part]
    LOGS.mkdir(parents=True, exist_ok=True)
    runner = Runner(given.root)
    with ThreadPoolExecutor(1) as pool:
        try:
            pool.submit(everything, runner, parts, given.keep).result()
        except KeyboardInterrupt:
            runner.interrupt()
            print("interrupted; what is up is ended by: make down")
            return 130
    return tell(runner, whole=given.part == "all")


if __name__ == "__main__":
    sys.exit(main())
