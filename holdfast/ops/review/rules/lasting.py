"""Data, keys, secrets, and what protects them."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.ops.review.facts import Action, Facts, Resource, tag, text
from holdfast.ops.review.nodes import nodes
from holdfast.ops.review.rules.rule import Hit, blocking, caution
from holdfast.topology import redis_settings
from holdfast.topology.risks import Risk
from holdfast.topology.spec import Role


@blocking(Risk.DATA_DESTROYED, "A data volume holds a node's copy of the data; what no other node has is gone with it.")
def data_destroyed(facts: Facts) -> Iterator[Hit]:
    without_data = {node.name for node in nodes(facts) if not node.concerns(Role.DATA)}
    volumes = [it for it in facts.of_kind("aws_ebs_volume") if tag(it.before or it.after, "Node") not in without_data]
    lost = [volume for volume in volumes if volume.destroyed]
    every = bool(lost) and len(lost) == sum(volume.exists for volume in volumes)
    for volume in lost:
        yield Hit(volume.path, "the data volume is destroyed" + (", and so is every other one" if every else ""))


@caution(
    "votes-destroyed",
    "A Sentinel keeps on its volume whom it voted for: one that forgets may vote twice, and two leaders be named.",
)
def votes_destroyed(facts: Facts) -> Iterator[Hit]:
    for node in nodes(facts):
        if node.after and not node.concerns(Role.DATA) and node.volume in (Action.DELETE, Action.REPLACE):
            yield Hit(node.path, f"the volume of {node.name} is destroyed, and its Sentinel goes on without it")


@blocking(Risk.KEY_DESTROYED, "Without its key everything at rest is unreadable, the volumes that are kept included.")
def key_destroyed(facts: Facts) -> Iterator[Hit]:
    for key in facts.of_kind("aws_kms_key"):
        if key.destroyed:
            yield Hit(key.path, "the key that encrypts volumes, bucket and secrets is destroyed")


@blocking(
    Risk.IDENTITY_DESTROYED, "The passwords that clients use, and the record of the first bootstrap, exist only once."
)
def identity_destroyed(facts: Facts) -> Iterator[Hit]:
    what = {
        "aws_secretsmanager_secret": "a secret with passwords is destroyed",
        "aws_s3_bucket": "the bucket with the bootstrap record and the reports is destroyed",
    }
    for resource in facts.of_kind(*what):
        if resource.destroyed:
            yield Hit(resource.path, what[resource.kind])


@blocking(
    Risk.SECRET_NAME_RESERVED,
    "Secrets Manager keeps the name of a deleted secret until its waiting period is over: the deploy would stop there, "
    "half done.",
)
def secret_name_reserved(facts: Facts) -> Iterator[Hit]:
    for secret in facts.of_kind("aws_secretsmanager_secret"):
        name = text(secret.after.get("name"))
        if secret.action is Action.CREATE and name in facts.reserved:
            yield Hit(
                secret.path,
                f"{name} is scheduled for deletion. For a new password: `holdfast secrets release {facts.environment}`",
            )


@blocking(Risk.VOLUME_SHRUNK, "EC2 never shrinks a volume: the deploy would stop there, half done.")
def volume_shrunk(facts: Facts) -> Iterator[Hit]:
    for volume in facts.of_kind("aws_ebs_volume"):
        before, after = volume.before.get("size"), volume.after.get("size")
        if isinstance(before, int) and isinstance(after, int) and after < before:
            yield Hit(volume.path, f"{before} GiB → {after} GiB")


@blocking(
    Risk.DATABASES_LOWERED,
    "A Redis with fewer databases takes what a peer writes beyond them into another one, and does not start with it.",
)
def databases_lowered(facts: Facts) -> Iterator[Hit]:
    for node in nodes(facts):
        for change in node.files:
            for setting in change.settings() if change.before and change.after else ():
                if setting.name != redis_settings.DATABASES:
                    continue
                default = redis_settings.SETTINGS[setting.name].redis
                before, after = int(setting.before or default), int(setting.after or default)
                if after < before:
                    yield Hit(node.path, f"{node.name} has {before} databases, and gets {after}")


@blocking(Risk.PROTECTION_REMOVED, "Deletion windows and refusals are what is left of data after a mistake.")
def protection_removed(facts: Facts) -> Iterator[Hit]:
    windows = {"aws_kms_key": "deletion_window_in_days", "aws_secretsmanager_secret": "recovery_window_in_days"}
    for resource in facts.resources:
        if not (resource.exists and resource.remains):
            continue
        if argument := windows.get(resource.kind):
            before, after = resource.before.get(argument), resource.after.get(argument)
            if isinstance(before, int) and isinstance(after, int) and after < before:
                yield Hit(resource.path, f"`{argument}`: {before} → {after} days in which a deletion can be taken back")
        if (
            resource.kind == "aws_s3_bucket"
            and resource.after.get("force_destroy")
            and not resource.before.get("force_destroy")
        ):
            yield Hit(resource.path, "`force_destroy`: the bucket can be destroyed with what is in it")
        if resource.before.get("disable_api_termination") and not resource.after.get("disable_api_termination"):
            yield Hit(resource.path, "`disable_api_termination`: whoever may use the console can terminate the machine")
        if resource.was_kept and not resource.kept:
            yield Hit(resource.path, "`prevent_destroy` is taken away")
    for refusal in facts.of_kind("terraform_data"):
        if refusal.name == "refusal" and not refusal.remains:
            yield Hit(refusal.path, "`cdktf destroy` is not refused any more")
    for versioning in facts.of_kind("aws_s3_bucket_versioning"):
        if versioning.destroyed:
            yield Hit(versioning.path, "old versions of the bucket's objects are no longer kept")


@blocking(
    Risk.REFUSED_BY_TERRAFORM,
    "The environment is protected: Terraform stops there. `protected: false` comes first, as a change of its own.",
)
def refused_by_terraform(facts: Facts) -> Iterator[Hit]:
    for resource in facts.resources:
        if resource.kept and resource.destroyed:
            yield Hit(resource.path, "is protected from being destroyed, and the change destroys it")


@blocking(
    Risk.STATEFUL_RENAMED,
    "For Terraform another name is another thing: it destroys one and makes the other, unless a `moved` block tells.",
)
def stateful_renamed(facts: Facts) -> Iterator[Hit]:
    lasting = facts.of_kind(*LASTING)
    created = [it for it in lasting if it.action is Action.CREATE]
    for gone in lasting:
        for new in created:
            same = (gone.kind, gone.stack, _name(gone)) == (new.kind, new.stack, _name(new))
            if gone.action is Action.DELETE and same and _name(gone):
                yield Hit(new.path, f"{gone.address} is destroyed, and {new.address} takes its place")


LASTING = (
    "aws_ebs_volume",
    "aws_eip",
    "aws_kms_key",
    "aws_network_interface",
    "aws_s3_bucket",
    "aws_secretsmanager_secret",
)
"""What holds data or an identity."""


def _name(resource: Resource) -> str:
    """The name in the cloud: two constructs that have the same one stand for the same thing."""
    return tag(resource.before or resource.after, "Name")
