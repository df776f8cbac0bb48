"""All that one account has of test stacks, each with its judgement: one look, as one immutable value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from holdfast.ops.teststacks import recorded
from holdfast.ops.teststacks.clouds import Cloud
from holdfast.ops.teststacks.judge import Fate, Judge, Judgement, Tags, of_evidence
from holdfast.ops.teststacks.kinds import KINDS
from holdfast.ops.teststacks.kinds.kind import Kind, Stage, Thing
from holdfast.ops.teststacks.kinds.storage import BUCKET
from holdfast.ops.teststacks.recorded import State
from holdfast.topology import Environment, names


@dataclass(frozen=True)
class Found:
    """One resource, and what may be done to it."""

    kind: Kind
    region: str
    thing: Thing
    judgement: Judgement

    @property
    def key(self) -> tuple[str, str, str]:
        return self.kind.name, self.region, self.thing.id

    @property
    def environment(self) -> str:
        return self.thing.tags.get("Environment", "")

    @property
    def is_place(self) -> bool:
        """The bucket of the states: it is removed when nothing else is left."""
        return self.kind is BUCKET and recorded.is_place(self.thing.id)

    def __str__(self) -> str:
        return f"{self.kind.name} {self.thing.id}"


@dataclass(frozen=True)
class Inventory:
    """In the order of removal."""

    found: tuple[Found, ...]
    states: tuple[tuple[State, Judgement], ...]
    files: tuple[tuple[Environment, Judgement], ...]

    def things(self, fate: Fate) -> list[Found]:
        """Without what goes with something else."""
        return [it for it in self.found if it.judgement.fate is fate and not it.thing.rides]

    @property
    def going(self) -> list[Found]:
        """What can be removed, and is not being kept by a waiting period."""
        return [it for it in self.things(Fate.GOES) if it.thing.stage is not Stage.WAITING]

    @property
    def waiting(self) -> list[Found]:
        return [it for it in self.things(Fate.GOES) if it.thing.stage is Stage.WAITING]

    @property
    def going_states(self) -> list[State]:
        return [state for state, judgement in self.states if judgement.fate is Fate.GOES and state.holds]

    @property
    def ending(self) -> list[str]:
        """Environments of which anything is to go."""
        names_of = {it.environment for it in self.going}
        names_of |= {state.environment for state, judgement in self.states if judgement.fate is Fate.GOES}
        names_of |= {environment.name for environment, judgement in self.files if judgement.fate is Fate.GOES}
        return sorted(names_of)


def look(cloud: Cloud, judge: Judge, stored: Sequence[Environment]) -> Inventory:
    """Ask every service, and read every state. `stored`: the test stacks that have a file here.

    Raises:
        CloudError: a service did not answer.
    """
    here = [environment for environment in stored if environment.api_endpoint == cloud.endpoint]
    everything = [it for kind in KINDS for it in look_for(cloud, kind, judge)]
    found = tuple(it for it in everything if it.judgement.fate is not Fate.FOREIGN)
    places = {it.thing.id: it.thing.tags for it in found if it.is_place}
    states = recorded.find(cloud, places, stored)
    evidence = _evidence(states, everything, here)
    return Inventory(
        found=found,
        states=tuple((state, of_evidence(evidence[state.environment], judge)) for state in states),
        files=tuple((environment, judge(names.tags(environment))) for environment in here),
    )


def look_for(cloud: Cloud, kind: Kind, judge: Judge) -> Iterator[Found]:
    """What there is of one kind, whosever it is."""
    for region in [cloud.home] if kind.everywhere else cloud.regions:
        try:
            for thing in kind.find(cloud.client(kind.service, region)):
                yield Found(kind, region, thing, judge(thing.tags))
        except (BotoCoreError, ClientError) as error:
            raise cloud.explain(f"looking for {kind.name}s", error) from None


def _evidence(
    states: Iterable[State], everything: Iterable[Found], here: Iterable[Environment]
) -> dict[str, list[Tags]]:
    """All that is known of each environment's states: by its file, their place, and each resource, recorded and real.

    Somebody may have changed the tags of a resource since it was recorded; Terraform would destroy it all the same.
    """
    tags = {it.thing.id: it.thing.tags for it in everything}
    evidence: dict[str, list[Tags]] = {}
    for state in states:
        known = evidence.setdefault(state.environment, [])
        known += state.tags
        known += [tags[id] for id in (*state.ids, state.bucket) if id in tags]
    for environment in here:
        if environment.name in evidence:
            evidence[environment.name].append(names.tags(environment))
    return evidence
