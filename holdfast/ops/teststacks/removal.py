"""Takes away what was judged to go: Terraform first, by what it recorded, then a sweep by tag. Says what is left."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from holdfast.ops import destroy
from holdfast.ops.teststacks import TERRAFORM_TIMEOUT, cdktf, files, recorded
from holdfast.ops.teststacks.clouds import Cloud
from holdfast.ops.teststacks.inventory import Found, Inventory, look
from holdfast.ops.teststacks.judge import Fate, Judge
from holdfast.ops.teststacks.recorded import State
from holdfast.ops.teststacks.sweep import Key, Pace, Say, because, sweep
from holdfast.topology import Environment

ROUNDS = 2
"""Terraform stops at what it does not know. After the sweep it is asked again, and finds that its states are empty."""


@dataclass(frozen=True)
class Survivor:
    """What is left, and why."""

    environment: str
    kind: str
    id: str
    region: str
    reason: str


@dataclass(frozen=True)
class Removal:
    """What is to be removed where, and how patiently."""

    cloud: Cloud
    judge: Judge
    stored: Callable[[], Sequence[Environment]]
    """Reads the test stacks that have a file here; fewer once some are gone."""
    say: Say
    patience: float = TERRAFORM_TIMEOUT
    """Seconds for Terraform to destroy one stack."""
    lock: bool = True
    """Respect the lock of a state. What has expired has no deploy to wait for, only one that died."""
    pace: Pace = field(default_factory=Pace)

    def look(self) -> Inventory:
        return look(self.cloud, self.judge, self.stored())

    def carry_out(self, before: Inventory) -> tuple[Inventory, list[Survivor]]:
        """Remove what goes; what there is then, and what should have gone.

        Raises:
            CloudError: a service did not tell what there is.
        """
        seen, reasons, failed = before, dict[Key, str](), dict[str, str]()
        for _ in range(ROUNDS):
            if states := seen.going_states:
                failed = self._destroy(states)
                seen = self.look()
            targets = [it for it in seen.found if it.judgement.fate is Fate.GOES and not it.is_place]
            reasons = sweep(self.cloud, targets, self.judge, self.pace, self.say)
            seen = self.look()
            if not _left(seen):
                break
        if _done(seen):
            reasons |= self._forget(seen)
            seen = self.look()
        return seen, survivors(self.cloud, seen, (Fate.GOES,), reasons, failed)

    def _destroy(self, states: Sequence[State]) -> dict[str, str]:
        """Stack → why it could not be destroyed."""
        failed = {}
        for state in states:
            self.say(f"{state.environment}: terraform destroy of {state.stack} ({state.holds} recorded)")
            try:
                place = destroy.Place(state.stack, state.region, state.bucket, self.cloud.endpoint)
                destroy.destroy(place, patience=self.patience, lock=self.lock)
            except destroy.DestroyFailed as error:
                failed[state.stack] = str(error)
                self.say(str(error))
        return failed

    def _forget(self, seen: Inventory) -> dict[Key, str]:
        """The states and the file of each environment of which nothing is left; what of it could not be removed."""
        places = [it for it in seen.going if it.is_place and it.environment in _done(seen)]
        reasons = sweep(self.cloud, places, self.judge, self.pace, self.say)
        done = _done(seen) - {it.environment for it in places if it.key in reasons}
        for name in done & {state.environment for state, judgement in seen.states if judgement.fate is Fate.GOES}:
            recorded.forget(self.cloud, name)
        for name in done & {environment.name for environment, judgement in seen.files if judgement.fate is Fate.GOES}:
            cdktf.forget(name)
            files.remove(name)
        return reasons


def _left(seen: Inventory) -> set[str]:
    """The environments of which something is to go besides their bucket of states and their file."""
    return {it.environment for it in seen.going if not it.is_place} | {state.environment for state in seen.going_states}


def _done(seen: Inventory) -> set[str]:
    """Those of which only these are to go. A state that records anything is kept, were it only to know of it."""
    recording = {state.environment for state, _ in seen.states if state.holds}
    return set(seen.ending) - _left(seen) - recording


def survivors(
    cloud: Cloud,
    seen: Inventory,
    fates: Sequence[Fate],
    reasons: Mapping[Key, str] | None = None,
    failed: Mapping[str, str] | None = None,
) -> list[Survivor]:
    """What of these fates is there. `reasons`, `failed`: what is known of a resource and of a stack."""
    things = [it for fate in fates for it in seen.things(fate) if it not in seen.waiting]
    return [
        *(_thing(cloud, it, (reasons or {}).get(it.key)) for it in things),
        *(
            Survivor(
                state.environment,
                "state",
                state.stack,
                state.region,
                (failed or {}).get(state.stack, f"{judgement.reason}; it records {state.holds}"),
            )
            for state, judgement in seen.states
            if judgement.fate in fates and state.holds
        ),
        *(
            Survivor(environment.name, "file", str(files.path(environment.name)), environment.region, judgement.reason)
            for environment, judgement in seen.files
            if judgement.fate in fates
        ),
    ]


def _thing(cloud: Cloud, it: Found, reason: str | None) -> Survivor:
    known = reason or it.judgement.reason + because(cloud, it)
    return Survivor(it.environment, it.kind.name, it.thing.id, it.region, known)
