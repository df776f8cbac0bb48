"""`holdfast teststack up`: decides what a new test stack is, writes its file, and deploys it."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

from botocore.exceptions import BotoCoreError, ClientError

from holdfast.errors import HoldfastError
from holdfast.ops import bootstrap
from holdfast.ops.teststacks import cdktf, clouds, create, files
from holdfast.ops.teststacks.clouds import Cloud
from holdfast.ops.teststacks.create import Wish
from holdfast.ops.teststacks.sweep import Say
from holdfast.topology import Environment, environment_files, load_environment
from holdfast.topology.spec import instant


def prepare(source: Environment, wish: Wish) -> tuple[Environment, bool]:
    """The test stack, and whether it was there already: then it is as it was decided, its expiry too.

    Raises:
        AccountRefused: it may not be made there.
        HoldfastError: one of that name is like another environment, or has expired.
    """
    (cloud,) = clouds.clouds_of([source])
    clouds.require_listed(cloud)
    known = {environment.name: environment for environment in files.stored()}
    if wish.name in known:
        return _same(known[wish.name], source, wish), True
    others = [*known.values(), *(load_environment(file) for file in environment_files())]
    taken = [environment.network.cidr for environment in others] + list(_networks(cloud))
    cdktf.forget(wish.name)  # of an earlier one of that name, which may have kept its states elsewhere
    return files.write(create.content(source, wish, taken)), False


def _same(there: Environment, source: Environment, wish: Wish) -> Environment:
    test = there.teststack
    assert test is not None
    down = f"take it down first: holdfast teststack down {there.name}"
    if test.source != source.name:
        raise HoldfastError(f"{there.name} is there already, like {test.source} and not like {source.name}; {down}")
    if test.expires <= wish.decided:
        raise HoldfastError(f"{there.name} is there already, and expired at {instant(test.expires)}; {down}")
    return there


def _networks(cloud: Cloud) -> Iterator[IPv4Network]:
    """Those of every VPC in the account: another machine may have made test stacks too."""
    for region in cloud.regions:
        try:
            for page in cloud.client("ec2", region).get_paginator("describe_vpcs").paginate():
                for vpc in page["Vpcs"]:
                    yield from (IPv4Network(it["CidrBlock"]) for it in vpc["CidrBlockAssociationSet"])
        except (BotoCoreError, ClientError) as error:
            raise cloud.explain("listing the networks that there are", error) from None


def deploy(environment: Environment, say: Say) -> None:
    """The bucket of its states where it needs one, then all of its stacks.

    Raises:
        HoldfastError: it is not deployed, or not whole.
    """
    file = files.path(environment.name)
    for done in bootstrap.bootstrap(environment, file):
        say(done)
    cdktf.deploy(environment, file)
