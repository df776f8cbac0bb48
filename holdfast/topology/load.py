"""An environment file, read once at the edge: a valid `Environment`, or every problem of the file."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from types import UnionType
from typing import Any, get_args

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from holdfast.errors import HoldfastError
from holdfast.topology import pinned_types, redis_settings
from holdfast.topology.instances import InstanceType
from holdfast.topology.invariants import problems_of
from holdfast.topology.pinned_types import Known
from holdfast.topology.problems import InvalidEnvironment, Problem
from holdfast.topology.spec import LAYOUTS, LAYOUTS_TO_COME, TEST_PREFIX, WORDS, Environment, MachineKey

FOLDER_VARIABLE = "HOLDFAST_ENVIRONMENTS_DIR"
"""Environment variable that names another folder of environment files; child processes of a deploy see it too."""

ENVIRONMENTS = Path(os.environ.get(FOLDER_VARIABLE) or Path(__file__).resolve().parents[2] / "environments")


class UnknownEnvironment(HoldfastError):
    """There is no file for that name."""

    exit_code = 2


class _Loader(yaml.SafeLoader):  # type: ignore[misc, unused-ignore]
    """YAML whose keys are text, and in which a key that stands twice is an error, not a silent last-one-wins."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is not text", key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return mapping


TESTSTACKS = "teststacks"
"""The folder beside the environment files that has those of test stacks: written by a command, in no repository."""


def environment_files(folder: Path = ENVIRONMENTS) -> list[Path]:
    return sorted(folder.glob("*.yaml"))


def find_environment(name: str, folder: Path = ENVIRONMENTS) -> Path:
    """The file of the environment `name`, a test stack's too. `name` may also be a path to a file.

    Raises:
        UnknownEnvironment: naming those that there are.
    """
    home = folder / TESTSTACKS if name.startswith(TEST_PREFIX) else folder
    path = Path(name) if name.endswith((".yaml", ".yml")) else home / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(file.stem for file in environment_files(home)) or "none yet"
        raise UnknownEnvironment(f"environment {name}: there is no file {path}; there are: {known}")
    return path


def load_environment(path: Path, folder: Path = ENVIRONMENTS) -> Environment:
    """Read and check one file. `folder`: where the facts of its instance types are pinned.

    Raises:
        InvalidEnvironment: with every problem of the file.
    """
    content = _read(path)
    return _load(path, content, pinned_types.known(pinned_types.owner(content), folder))


def load_draft(path: Path, folder: Path = ENVIRONMENTS) -> Environment:
    """The same of a file whose instance types need not be known yet: to ask EC2 for them.

    Raises:
        InvalidEnvironment: with every other problem of the file.
    """
    content = _read(path)
    known = pinned_types.known(pinned_types.owner(content), folder)
    named = dict.fromkeys(_named_types(content), _ASKED_FOR)
    return _load(path, content, replace(known, types={**named, **known.types}))


_ASKED_FOR = InstanceType(memory=2**40, vcpus=1, addresses=2**10, arch="amd64", ebs_optimized=True, burstable=False)
"""Room for whatever the file says: it is looked at again when EC2 has said what there is."""


def _named_types(content: dict[str, Any]) -> Iterator[str]:
    machines = content.get("machines")
    for machine in machines.values() if isinstance(machines, dict) else ():
        type = machine.get("type") if isinstance(machine, dict) else None
        if isinstance(type, str) and re.fullmatch(r"[a-z0-9-]+\.[a-z0-9-]+", type):
            yield type


def _load(path: Path, content: dict[str, Any], known: Known) -> Environment:
    try:
        environment = Environment.model_validate(content, context=known)
        problems = problems_of(environment)
    except ValidationError as error:
        raise InvalidEnvironment(str(path), _all_problems(content, known, error.errors())) from None
    if path.stem != environment.name:
        problems.append(Problem("name", f"{environment.name} in a file called {path.name}", path.stem))
    if problems:
        raise InvalidEnvironment(str(path), problems)
    return environment


def load_environments(folder: Path = ENVIRONMENTS) -> list[Environment]:
    """Every environment of the folder; no two networks of one region may overlap.

    Raises:
        InvalidEnvironment: for the first file that has problems.
    """
    loaded: list[Environment] = []
    for path in environment_files(folder):
        environment = load_environment(path, folder)
        for other in loaded:
            same_cloud = (other.region, other.cloud.endpoint) == (environment.region, environment.cloud.endpoint)
            if same_cloud and (problem := _overlap(environment, other)):
                raise InvalidEnvironment(str(path), [problem])
        loaded.append(environment)
    return loaded


def _overlap(environment: Environment, other: Environment) -> Problem | None:
    """Two may be in one VPC that was there already, with addresses of their own in each subnet."""
    mine, its = environment.network, other.network
    if mine.vpc is None or its.vpc is None or mine.vpc.id != its.vpc.id:
        if not its.cidr.overlaps(mine.cidr):
            return None
        found = f"{mine.cidr}, which overlaps {its.cidr} of {other.name}"
        return Problem("network.cidr", found, "a network of its own")
    for letter, subnet in mine.vpc.subnets.items():
        for taken in its.vpc.subnets.values():
            if subnet.block.overlaps(taken.block):
                found = f"{subnet.block}, which overlaps {taken.block} of {other.name}"
                return Problem(f"network.vpc.subnets.{letter}.block", found, "addresses of its own")
    return None


def _read(path: Path) -> Any:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidEnvironment(
            str(path), [Problem("", f"a file that cannot be read: {error}", "a YAML file")]
        ) from None
    except yaml.YAMLError as error:
        where = " ".join(str(error).split())
        raise InvalidEnvironment(str(path), [Problem("", f"no valid YAML: {where}", "a YAML mapping")]) from None
    if not isinstance(content, dict):
        found = "an empty file" if content is None else type(content).__name__
        raise InvalidEnvironment(str(path), [Problem("", found, "a YAML mapping with name, region, zones, …")])
    return content


KEY = "[key]"
"""How pydantic marks the key itself, not its value, in the place of an error."""

_SUBNET = {"id": "subnet-00000000", "cidr": "10.0.0.0/24", "block": "10.0.0.64/26"}
_VALID: dict[str, Any] = {
    "name": "sample",
    "region": "eu-central-1",
    "zones": ["a", "b", "c"],
    "network": {"cidr": "10.0.0.0/16", "vpc": {"id": "vpc-00000000", "subnets": dict.fromkeys("abcdefgh", _SUBNET)}},
    "machines": {key: {"type": "m6i.large"} for key in get_args(MachineKey)},
    "redis": {"memory": "1GB"},
    "tls": {"mode": "required"},
    "teststack": {"source": "sample", "owner": "sample", "run": "sample", "expires": "2026-12-31T16:00:00Z"},
}


PLAINLY = {
    "too_short": "at least {min_length}",
    "too_long": "at most {max_length}",
    "string_too_short": "some text",
    "string_type": "text; in quotes, where YAML would read something else",
}
"""What pydantic calls it → what is accepted."""


def _all_problems(content: dict[str, Any], known: Known, details: Sequence[ErrorDetails]) -> list[Problem]:
    """The wrong values, and what the invariants say of the right ones (each wrong value is made valid for that)."""
    # Beside any other error pydantic makes no default that follows from other values, and tells that as one more.
    details = [detail for detail in details if detail["type"] != "default_factory_not_called"]
    problems = [_problem(detail) for detail in details]
    mended = copy.deepcopy(content)
    for detail in details:
        keys = list(takewhile(lambda part: isinstance(part, str), _location(detail)))
        _mend(mended, _VALID, [str(key) for key in keys])
    environment = Environment.model_validate(mended, context=known)
    return problems + problems_of(environment, without=[problem.path for problem in problems])


def _mend(content: dict[str, Any], valid: dict[str, Any], keys: list[str]) -> None:
    key, rest = keys[0], keys[1:]
    if rest and isinstance(content.get(key), dict):
        _mend(content[key], valid.get(key, {}), rest)
    elif key in valid:
        content[key] = copy.deepcopy(valid[key])
    else:
        content.pop(key, None)


def _problem(detail: ErrorDetails) -> Problem:
    location = _location(detail)
    path = _path(location)
    context = detail.get("ctx", {})
    if detail["type"] == "missing":
        return Problem(path, "nothing", "a value; it has no default")
    if detail["type"] == "extra_forbidden" and detail["loc"][:-1] == ("redis", "settings"):
        return Problem(path, *redis_settings.refusal(str(detail["loc"][-1])))
    if detail["type"] == "extra_forbidden":
        return Problem(path, "an unknown key", _siblings(detail["loc"]))
    if detail["loc"][-1] == KEY and detail["loc"][0] == "machines":
        return Problem(path, "an unknown key", ", ".join(get_args(MachineKey)))
    if detail["type"].startswith("union_tag"):
        kind = context.get("tag", detail["input"])
        yet = ", which is planned and not there yet" if kind in LAYOUTS_TO_COME else ""
        return Problem(path, f"{kind!r}{yet}", ", ".join(LAYOUTS))
    found = repr(detail["input"])
    if detail["type"] == "value_error":
        return Problem(path, found, str(context["error"]))
    if detail["type"] == "string_pattern_mismatch":
        return Problem(path, found, WORDS[context["pattern"]])
    if detail["type"] in PLAINLY:
        return Problem(path, found, PLAINLY[detail["type"]].format(**context))
    return Problem(path, found, detail["msg"].removeprefix("Input should be ").removeprefix("Value should be "))


def _location(detail: ErrorDetails) -> tuple[int | str, ...]:
    """Where in the file it is: pydantic also tells of which layout's keys, and that a key of a mapping is meant."""
    location = detail["loc"]
    if location[0] == "layout":
        return (*location[:1], *location[2:])
    return tuple(part for part in location if part != KEY)


def _path(location: Sequence[int | str]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _siblings(location: Sequence[int | str]) -> str:
    if location[0] == "layout":
        return ", ".join(LAYOUTS[str(location[1])].model_fields)
    model: Any = Environment
    for part in location[:-1]:
        # What stands at a place of a list, or under a name of a mapping, is their last type argument but `...`.
        model = _element(model) if get_args(model) else model.model_fields[part].annotation
        if isinstance(model, UnionType):  # a section that may be left out
            model = get_args(model)[0]
    return ", ".join(model.model_fields)


def _element(collection: Any) -> Any:
    """The type of what is in a list or in a mapping."""
    return [argument for argument in get_args(collection) if argument is not ...][-1]
