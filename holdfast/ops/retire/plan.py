"""What retiring an environment destroys, in which order, and what it leaves: told from Terraform's recorded states."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from holdfast.topology import Environment, names

DEPLOYED = ("network", "identity", "zone-", "watch", "names")
"""Beginnings of stacks' names in the order of a deploy."""

NO_BACKUP = (
    "No backup is made first. What Redis holds is gone with the volumes; whoever needs it takes one now, where the "
    "file has `backup` on: holdfast backup take ENV; or copies it from a replica endpoint: redis-cli --rdb FILE."
)

State = Mapping[str, Any]


@dataclass(frozen=True)
class Doomed:
    """One stack, and what it holds that cannot be made again."""

    name: str
    resources: int
    losses: tuple[str, ...]


@dataclass(frozen=True)
class Retirement:
    """Everything that `holdfast retire` is about to do. No stacks: there is nothing to retire."""

    environment: str
    stacks: tuple[Doomed, ...]
    """In the order of their destruction."""
    left: tuple[str, ...]
    """What stays, and until when, one sentence each."""


def plan(environment: Environment, states: Mapping[str, State], today: date) -> Retirement:
    """`states`: stack → its recorded state, of those that have resources; today's date begins the waiting periods."""
    doomed = states.keys() - {names.backups_stack(environment)}
    ordered = sorted(doomed, key=lambda stack: _rank(environment, stack), reverse=True)
    return Retirement(
        environment=environment.name,
        stacks=tuple(
            Doomed(stack, len(list(_instances(states[stack]))), tuple(_losses(states[stack]))) for stack in ordered
        ),
        left=tuple(_left(environment, states, today)) if states else (),
    )


def _rank(environment: Environment, stack: str) -> tuple[int, str]:
    short = stack.removeprefix(f"{environment.name}-")
    return next(rank for rank, start in enumerate(DEPLOYED) if short.startswith(start)), short


def _losses(state: State) -> Iterator[str]:
    for kind, values in _instances(state):
        if kind == "aws_ebs_volume":
            yield f"the data of {values['tags']['Node']} ({values['size']} GiB)"
        elif kind == "aws_s3_bucket":
            yield f"the bucket {values['bucket']} with all that is in it"
        elif kind == "aws_eip" and names.PUBLIC_ADDRESS_TAG in values["tags"]:
            yield f"the public address {values['public_ip']} of {values['tags']['Name']}"


def _left(environment: Environment, states: Mapping[str, State], today: date) -> Iterator[str]:
    for stack, state in states.items():
        if stack == names.backups_stack(environment):
            yield (
                f"The backups, in the bucket {names.backups_bucket(environment)}, until each one's time is over: "
                f"holdfast backup list {environment.name}. Their stack stays too, with their key."
            )
            continue
        for kind, values in _instances(state):
            if kind == "aws_kms_key":
                last = today + timedelta(days=values["deletion_window_in_days"])
                yield (
                    f"The key {values['key_id']}, until {last}. Before that it can be brought back: "
                    f"aws kms cancel-key-deletion --key-id {values['key_id']}"
                )
            elif kind == "aws_secretsmanager_secret" and values["recovery_window_in_days"]:
                last = today + timedelta(days=values["recovery_window_in_days"])
                yield (
                    f"The secret {values['name']}, until {last}: until then, or until holdfast secrets release "
                    f"{environment.name}, no environment of this name can be deployed. "
                    f"It can be brought back: aws secretsmanager restore-secret --secret-id {values['name']}"
                )
    if environment.api_endpoint is None:
        yield (
            f"The bucket {names.state_bucket(environment)} with every version of the Terraform states, which has no "
            "end by itself: delete it when nobody will ask any more."
        )
    yield f"The file of {environment.name} and its pinned images: remove them, or the next deploy makes it anew."


def _instances(state: State) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Kind and attributes of every managed resource."""
    for resource in state["resources"]:
        if resource["mode"] == "managed":
            for instance in resource["instances"]:
                yield resource["type"], instance["attributes"]
