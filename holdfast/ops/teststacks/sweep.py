"""Removes what was judged to go, kind by kind, with bounded retries; says of what is left why."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from holdfast.ops.teststacks.clouds import Cloud
from holdfast.ops.teststacks.inventory import Found, look_for
from holdfast.ops.teststacks.judge import Fate, Judge
from holdfast.ops.teststacks.kinds import KINDS
from holdfast.ops.teststacks.kinds.kind import Kind, NotRemoved, Stage

Say = Callable[[str], None]
Key = tuple[str, str, str]


@dataclass(frozen=True)
class Pace:
    """How patient a sweep is."""

    pauses: Sequence[float] = (2, 5, 10, 20)
    """Seconds before each new attempt at what could not be removed: EC2 frees some things late."""
    poll: float = 2
    deadline: float = 600
    """Seconds for the cloud to remove what it was asked to; a machine that hands over takes a minute."""
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic


def sweep(cloud: Cloud, targets: Collection[Found], judge: Judge, pace: Pace, say: Say) -> dict[Key, str]:
    """Remove `targets`, each judged again right before; why what is left is left.

    Raises:
        CloudError: a service did not tell what there is.
    """
    reasons: dict[Key, str] = {}
    ids = frozenset(target.thing.id for target in targets)
    for kind in KINDS:
        of_kind = frozenset(target.key for target in targets if target.kind is kind)
        if of_kind:
            reasons |= _Sweep(cloud, kind, of_kind, ids, judge, pace, say).run()
    return reasons


@dataclass
class _Sweep:
    """Of one kind."""

    cloud: Cloud
    kind: Kind
    targets: frozenset[Key]
    ids: frozenset[str]
    """Of everything that goes, of other kinds too."""
    judge: Judge
    pace: Pace
    say: Say

    def run(self) -> dict[Key, str]:
        here, reasons = self._look(), dict[Key, str]()
        if self.kind.prepare:
            self._prepare(here)
        for pause in (0.0, *self.pace.pauses):
            if pause and reasons:
                self.pace.sleep(pause)
            reasons = self._remove([it for it in here if not it.thing.rides])
            here = self._wait()
            left = {it.key for it in here if not it.thing.rides}
            reasons = {key: reasons.get(key, "it is still there") for key in left}
            if not left:
                break
        return {it.key: reasons[it.key] + self._because(it) for it in here if it.key in reasons}

    def _look(self) -> list[Found]:
        """What is still to be removed. Judged anew: tags may have changed since."""
        return [
            it
            for it in look_for(self.cloud, self.kind, self.judge)
            if it.key in self.targets and it.judgement.fate is Fate.GOES and it.thing.stage is not Stage.WAITING
        ]

    def _prepare(self, here: Sequence[Found]) -> None:
        assert self.kind.prepare is not None
        for region in {it.region for it in here}:
            client = self.cloud.client(self.kind.service, region)
            try:
                self.kind.prepare(client, [it.thing for it in here if it.region == region])
            except ClientError as error:
                self.say(f"{self.kind.name}s: {error}")

    def _remove(self, here: Sequence[Found]) -> dict[Key, str]:
        reasons = {}
        for it in here:
            stays = [holder for holder in it.thing.holders if holder not in self.ids]
            if stays:
                reasons[it.key] = f"in use by {', '.join(stays)}, which stays"
            elif it.thing.stage is Stage.THERE:
                self.say(f"{it.environment}: removing {it}")
                try:
                    self.kind.remove(self.cloud.client(self.kind.service, it.region), it.thing)
                except (ClientError, NotRemoved) as error:
                    reasons[it.key] = _short(error)
                except BotoCoreError as error:
                    raise self.cloud.explain(f"removing {it}", error) from None
        return reasons

    def _wait(self) -> list[Found]:
        """Until the cloud is done with what it was asked to remove; what is there then."""
        deadline = self.pace.clock() + self.pace.deadline
        while True:
            here = self._look()
            if not any(it.thing.stage is Stage.GOING for it in here) or self.pace.clock() > deadline:
                return here
            self.pace.sleep(self.pace.poll)

    def _because(self, it: Found) -> str:
        return because(self.cloud, it)


def because(cloud: Cloud, it: Found) -> str:
    """`; held by eni-1`: what keeps something that could not be removed. Empty where nothing is known."""
    holders = list(it.thing.holders)
    if it.kind.held_by:
        try:
            holders += it.kind.held_by(cloud.client(it.kind.service, it.region), it.thing.id)
        except (BotoCoreError, ClientError):
            return ""  # it may be gone by now, and its reason was told already
    return f"; held by {', '.join(holders)}" if holders else ""


def _short(error: ClientError | NotRemoved) -> str:
    if isinstance(error, NotRemoved):
        return str(error)
    answer = error.response["Error"]
    return f"{answer['Code']}: {answer.get('Message', '')}"
