"""Asks all of it at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from botocore.exceptions import BotoCoreError, ClientError

from holdfast.ops import cloud
from holdfast.ops.preflight import machines, place, quotas, rights, taken
from holdfast.ops.preflight.check import Check, Verdict, unknown
from holdfast.topology import Environment

Ask = Callable[[Environment], Iterator[Check]]

READS: dict[str, Ask] = {
    "account": place.account,
    "zones": place.zones,
    "quotas": quotas.check,
    "images": machines.images,
    "types": machines.types,
    "buckets": taken.buckets,
    "roles": taken.roles,
    "alias of the key": taken.alias,
    taken.SECRETS: taken.secrets,
}
"""What whoever reviews can ask too."""

ALL: dict[str, Ask] = {**READS, "packages": machines.packages, "permissions": rights.check}


def look(environment: Environment, asks: dict[str, Ask] = ALL) -> list[Check]:
    """Every answer, in the order of `asks`. What is refused is an answer too.

    Raises:
        CloudError: the credentials are of another account than `cloud.account`, or there are none.
    """
    try:
        cloud.client(environment, "sts").get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        raise cloud.explain(environment, "asking which account this is", error) from None
    with ThreadPoolExecutor(len(asks)) as pool:
        answers = pool.map(lambda name: _ask(environment, name, asks[name]), asks)
        return [check for answer in answers for check in answer]


def _ask(environment: Environment, what: str, ask: Ask) -> list[Check]:
    answers: list[Check] = []
    try:
        answers.extend(ask(environment))
    except (BotoCoreError, ClientError) as error:
        answers.append(unknown(what, error))
    except cloud.CloudError as error:
        answers.append(Check(what, Verdict.UNKNOWN, str(error)))
    return answers
