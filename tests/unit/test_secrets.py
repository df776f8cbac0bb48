"""Passwords are made once, and change so that at no moment anybody says one that somebody does not accept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from holdfast import cli
from holdfast.errors import HoldfastError
from holdfast.ops import renewal, reports, vault
from holdfast.ops.reports import OrderAnswer, Report
from holdfast.ops.secrets import rotation
from holdfast.ops.secrets.store import PASSWORD_LENGTH, Store
from holdfast.ops.vault import USED
from holdfast.topology import Cluster, Environment, names, users
from tests.unit.test_failover import report

NO_GRACE = timedelta(0)


def boto(service: str) -> Any:
    return boto3.client(service, region_name="eu-central-1")


class Nodes:
    """The machines of a cluster, as far as they know passwords: each takes those with a label when it is told to."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.environment = cluster, cluster.environment
        self.store = Store(self.environment)
        self.deaf = set[str]()
        self.ended: dict[str, list[str]] = {}
        self.answers: dict[str, OrderAnswer] = {}
        self.obeys = True
        self.fetched = 0
        self.interrupted_at: int | None = None
        self.known = {node.name: self.labelled(node.name) for node in cluster.nodes}

    def labelled(self, name: str) -> dict[str, list[str]]:
        known_to = users.known_to(self.environment, self.cluster.node(name).roles)
        return {user: accepted(self.environment, user) for user in known_to}

    def fetch(self, _: Environment) -> dict[str, Report]:
        """Reports, after whoever was told has obeyed."""
        self.fetched += 1
        if self.fetched == self.interrupted_at:
            raise KeyboardInterrupt
        listed = boto("s3").list_objects_v2(Bucket=names.bucket(self.environment), Prefix="orders/")
        for one in listed.get("Contents", []):
            order = json.load(boto("s3").get_object(Bucket=names.bucket(self.environment), Key=one["Key"])["Body"])
            if order["node"] in self.deaf:
                continue
            if order["what"] == renewal.SESSIONS:
                ended = self.ended.setdefault(order["node"], [])
                if order["users"] not in ended:
                    ended.append(order["users"])
                self.answers[order["node"]] = OrderAnswer(
                    order["id"], self.obeys, f"ended 3 sessions of {order['users']}"
                )
            else:
                self.known[order["node"]] = self.labelled(order["node"])
        self.check()
        return {name: self.report(name) for name in self.known}

    def report(self, name: str) -> Report:
        made = report(name, str(self.cluster.node(name).address), "replica")
        return Report(**{**vars(made), "secrets": self.known[name], "sessions": self.answers.get(name)})

    def check(self) -> None:
        """What a node says, every node accepts; and so what an application reads from the secret."""
        for user in users.of(self.environment):
            used = {known[user.name][0] for known in self.known.values() if user.name in known}
            used.add(self.store.read(user).versions[USED])
            for known in self.known.values():
                assert used <= set(known.get(user.name, used)), user.name


def accepted(environment: Environment, user: str) -> list[str]:
    """The versions of which a node finds the right hash, which must be all that have a label; the one in use first."""
    api, name = boto("secretsmanager"), names.secret(environment, user)
    found = api.describe_secret(SecretId=name)
    tags = {tag["Key"]: tag["Value"] for tag in found["Tags"]}
    order = ("AWSCURRENT", "AWSPENDING", "AWSPREVIOUS")
    labelled = {label: version for version, labels in found["VersionIdsToStages"].items() for label in labels}
    for version in labelled.values():
        content = json.loads(api.get_secret_value(SecretId=name, VersionId=version)["SecretString"])
        assert tags[f"holdfast:sha256:{version}"] == hashlib.sha256(content["password"].encode()).hexdigest()
    return list(dict.fromkeys(labelled[label] for label in order if label in labelled))


def hashed(environment: Environment) -> dict[str, int]:
    """User → how many hashes there are of its passwords."""
    api, found = boto("secretsmanager"), {}
    for user in users.of(environment):
        tags = api.describe_secret(SecretId=names.secret(environment, user.name))["Tags"]
        found[user.name] = sum(tag["Key"].startswith("holdfast:sha256:") for tag in tags)
    return found


def forget_hashes(environment: Environment, user: str) -> None:
    """As one that was deployed before there were any, and as where somebody wrote a password by hand."""
    api, name = boto("secretsmanager"), names.secret(environment, user)
    keys = [tag["Key"] for tag in api.describe_secret(SecretId=name)["Tags"]]
    api.untag_resource(SecretId=name, TagKeys=[key for key in keys if key.startswith("holdfast:")])


@pytest.fixture
def cluster(prod: Environment) -> Cluster:
    """With a place for each password, and none in it."""
    for user in users.of(prod):
        name = names.secret(prod, user.name)
        boto("secretsmanager").create_secret(Name=name, Tags=[{"Key": "Name", "Value": name}])
    region = {"LocationConstraint": "eu-central-1"}
    boto("s3").create_bucket(Bucket=names.bucket(prod), CreateBucketConfiguration=region)
    return Cluster.of(prod)


@pytest.fixture
def nodes(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    rotation.ensure(cluster)
    found = Nodes(cluster)
    monkeypatch.setattr(reports, "fetch", found.fetch)
    monkeypatch.setattr(renewal.status, "work_out", lambda *_: SimpleNamespace(ailing=[]))
    monkeypatch.setattr(renewal, "POLL", 0)
    yield found


def passwords(environment: Environment) -> dict[str, str]:
    """What an application, or a machine, reads."""
    api = boto("secretsmanager")
    found = {}
    for user in users.of(environment):
        answer = api.get_secret_value(SecretId=names.secret(environment, user.name), VersionStage=USED)
        content = json.loads(answer["SecretString"])
        assert content["user"] == user.name
        found[user.name] = content["password"]
    return found


def test_everybody_gets_a_password_of_his_own_and_keeps_it(cluster: Cluster) -> None:
    everybody = [user.name for user in users.of(cluster.environment)]
    assert rotation.ensure(cluster) == (everybody, [])
    made = passwords(cluster.environment)
    assert len(set(made.values())) == len(everybody)
    assert {len(password) for password in made.values()} == {PASSWORD_LENGTH}
    assert rotation.ensure(cluster) == ([], [])
    assert passwords(cluster.environment) == made


def test_the_first_password_of_everybody_comes_with_its_hash_and_is_not_read_for_it(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the role that deploys needs not read passwords."""
    monkeypatch.setattr(vault.Vault, "read", lambda *_, **__: pytest.fail("read a password"))
    rotation.ensure(cluster)
    monkeypatch.undo()
    assert hashed(cluster.environment) == {user.name: 1 for user in users.of(cluster.environment)}
    assert [len(accepted(cluster.environment, user.name)) for user in users.of(cluster.environment)] == [1] * 7


def test_a_deploy_adds_the_hashes_of_passwords_that_were_made_before_there_were_any(
    cluster: Cluster, nodes: Nodes, capsys: pytest.CaptureFixture[str]
) -> None:
    before = passwords(cluster.environment)
    forget_hashes(cluster.environment, "app")
    forget_hashes(cluster.environment, "node")
    assert cli.main(["secrets", "ensure", "prod"]) == 0
    assert capsys.readouterr().out == "every user has a password; added hashes for app, node\n"
    assert passwords(cluster.environment) == before
    assert len(accepted(cluster.environment, "app")) == len(accepted(cluster.environment, "node")) == 1
    assert rotation.ensure(cluster) == ([], [])


def test_of_two_who_make_the_first_passwords_at_once_the_hash_is_the_kept_ones(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one has seen none, and is refused: it must not put its own hash in place of the first one's."""
    late = [Store(cluster.environment).read(user) for user in users.of(cluster.environment)]
    rotation.ensure(cluster)
    for secret in late:
        Store(cluster.environment).make_first(secret)
    assert [len(accepted(cluster.environment, user.name)) for user in users.of(cluster.environment)] == [1] * 7


def test_a_first_password_without_its_hash_gets_it_from_the_same_command(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(vault.Vault, "tag", interrupted)
        with pytest.raises(KeyboardInterrupt):
            rotation.ensure(cluster)
    others = [user.name for user in users.of(cluster.environment)][1:]
    assert rotation.ensure(cluster) == (others, ["app"])
    assert len(accepted(cluster.environment, "app")) == 1


def test_a_rotation_adds_a_hash_that_is_missing_before_any_node_is_told(cluster: Cluster, nodes: Nodes) -> None:
    """Of a user who does not change, too: the nodes that are told look at all."""
    forget_hashes(cluster.environment, "app")
    forget_hashes(cluster.environment, "admin")
    rotation.rotate(cluster, rotation.chosen(cluster, ["app"]), NO_GRACE, lambda _: None)
    assert hashed(cluster.environment) == {user.name: 1 for user in users.of(cluster.environment)}


@pytest.mark.parametrize("write", range(1, 13))
def test_interrupted_at_any_write_a_node_that_boots_finds_all_and_the_same_command_ends_it(
    cluster: Cluster, nodes: Nodes, monkeypatch: pytest.MonkeyPatch, write: int
) -> None:
    before, changing, written = passwords(cluster.environment), rotation.chosen(cluster, ["app", "node"]), list[str]()
    with monkeypatch.context() as patched:
        for method in ("put", "tag", "untag", "label"):
            real = getattr(vault.Vault, method)

            def writes(*args: Any, real: Any = real, method: str = method, **kwargs: Any) -> None:
                written.append(method)
                if len(written) == write:
                    raise KeyboardInterrupt
                real(*args, **kwargs)

            patched.setattr(vault.Vault, method, writes)
        with pytest.raises(KeyboardInterrupt):
            rotation.rotate(cluster, changing, NO_GRACE, lambda _: None)
    for user in users.of(cluster.environment):
        # Says itself when a hash is missing or wrong.
        assert accepted(cluster.environment, user.name)
    rotation.rotate(cluster, changing, NO_GRACE, lambda _: None)
    after = passwords(cluster.environment)
    assert {user for user in before if before[user] != after[user]} == {"app", "node"}
    assert {len(known) for node in nodes.known.values() for known in node.values()} == {1}
    assert hashed(cluster.environment) == {user.name: 1 for user in users.of(cluster.environment)}, "none is left"


def test_without_the_stack_that_makes_the_secrets_it_is_named(prod: Environment) -> None:
    with pytest.raises(vault.NoSecret, match=r"no secret holdfast/prod/app; it comes with the stack prod-identity: "):
        rotation.ensure(Cluster.of(prod))


def test_all_change_and_nobody_ever_says_what_somebody_does_not_accept(cluster: Cluster, nodes: Nodes) -> None:
    before, said = passwords(cluster.environment), list[str]()
    rotation.rotate(cluster, rotation.chosen(cluster, []), NO_GRACE, said.append)
    after = passwords(cluster.environment)
    assert not set(before.values()) & set(after.values())
    assert {len(known) for node in nodes.known.values() for known in node.values()} == {1}
    assert said == [
        f"{node.name} {what}"
        for what in (
            "accepts the new passwords beside the old ones",
            "uses the new passwords",
            "accepts the new passwords only",
        )
        for node in cluster.nodes
    ]
    listed = boto("s3").list_objects_v2(Bucket=names.bucket(cluster.environment), Prefix="orders/")
    assert listed["KeyCount"] == 0


def test_only_who_is_named_changes(cluster: Cluster, nodes: Nodes) -> None:
    before = passwords(cluster.environment)
    rotation.rotate(cluster, rotation.chosen(cluster, ["replication", "app"]), NO_GRACE, lambda _: None)
    after = passwords(cluster.environment)
    assert {user for user in before if before[user] != after[user]} == {"replication", "app"}


@pytest.mark.parametrize("moment", range(1, 28, 4))
def test_interrupted_anywhere_the_same_command_ends_it(cluster: Cluster, nodes: Nodes, moment: int) -> None:
    before, changing = passwords(cluster.environment), rotation.chosen(cluster, ["app", "sentinel"])
    nodes.interrupted_at = nodes.fetched + moment
    with pytest.raises(KeyboardInterrupt):
        rotation.rotate(cluster, changing, NO_GRACE, lambda _: None)
    said = list[str]()
    rotation.rotate(cluster, changing, NO_GRACE, said.append)
    after = passwords(cluster.environment)
    assert {user for user in before if before[user] != after[user]} == {"app", "sentinel"}
    assert {len(known) for node in nodes.known.values() for known in node.values()} == {1}


def test_one_interrupted_between_two_labels_is_ended_too(cluster: Cluster, nodes: Nodes) -> None:
    (user,) = rotation.chosen(cluster, ["app"])
    nodes.store.make_next(nodes.store.read(user))
    for name in nodes.known:
        nodes.known[name] = nodes.labelled(name)
    secret = nodes.store.read(user)
    boto("secretsmanager").update_secret_version_stage(
        SecretId=names.secret(cluster.environment, "app"),
        VersionStage=USED,
        MoveToVersionId=secret.versions[vault.NEXT],
        RemoveFromVersionId=secret.versions[USED],
    )
    said = list[str]()
    rotation.rotate(cluster, [user], NO_GRACE, said.append)
    assert said[0] == "goes on with the change of app, which was interrupted"
    assert nodes.store.read(user).versions == {USED: secret.versions[vault.NEXT]}


@pytest.mark.usefixtures("seconds_fly")
def test_a_node_that_takes_nothing_stops_it_and_both_passwords_count(cluster: Cluster, nodes: Nodes) -> None:
    nodes.deaf = {"prod-b1"}
    with pytest.raises(rotation.NotTaken, match="prod-b1 did not take a new password within 60 s; its journal"):
        rotation.rotate(cluster, rotation.chosen(cluster, ["app"]), NO_GRACE, lambda _: None)
    assert len(nodes.known["prod-a1"]["app"]) == 2
    nodes.deaf = set()
    rotation.rotate(cluster, rotation.chosen(cluster, ["app"]), NO_GRACE, lambda _: None)
    assert len(nodes.known["prod-a1"]["app"]) == 1


def test_applications_get_time_and_our_own_parts_need_none(
    cluster: Cluster, nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = list[float]()
    monkeypatch.setattr(rotation.time, "sleep", lambda seconds: waited.append(seconds) if seconds else None)
    rotation.rotate(cluster, rotation.chosen(cluster, ["app"]), timedelta(minutes=7), lambda _: None)
    assert waited == [420]
    rotation.rotate(cluster, rotation.chosen(cluster, ["sentinel"]), timedelta(minutes=7), lambda _: None)
    assert waited == [420]


def test_sessions_stay_unless_they_shall_end_and_then_only_those_of_whose_password_changed(
    cluster: Cluster, nodes: Nodes, capsys: pytest.CaptureFixture[str]
) -> None:
    rotate = ["secrets", "rotate", "prod", "--user", "app", "--user", "node", "--grace", "0s"]
    assert cli.main(rotate) == 0
    assert nodes.ended == {}
    assert cli.main([*rotate, "--end-sessions"]) == 0
    # Our own parts say their new passwords already.
    assert nodes.ended == {node.name: ["app"] for node in cluster.nodes}
    assert "prod-a1 ended 3 sessions of app" in capsys.readouterr().err


def test_a_redis_that_does_not_end_them_is_named(cluster: Cluster, nodes: Nodes) -> None:
    nodes.obeys = False
    with pytest.raises(rotation.NotTaken, match="prod-a1: ended 3 sessions of app; to try again"):
        rotation.end_sessions(cluster, rotation.chosen(cluster, ["app"]), lambda _: None)


def test_a_cluster_that_is_not_healthy_changes_nothing(
    cluster: Cluster, nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewal.status, "work_out", lambda *_: SimpleNamespace(ailing=["no leader"]))
    before = passwords(cluster.environment)
    with pytest.raises(rotation.NotTaken, match="prod is not healthy, so no password changes now: no leader"):
        rotation.rotate(cluster, rotation.chosen(cluster, []), NO_GRACE, lambda _: None)
    assert passwords(cluster.environment) == before


def test_an_unknown_user_is_refused_with_those_that_there_are(cluster: Cluster) -> None:
    with pytest.raises(HoldfastError, match=r"prod has no user root; accepted: app, admin, metrics, ") as refused:
        rotation.chosen(cluster, ["app", "root"])
    assert refused.value.exit_code == 2


def test_the_commands_tell_what_there_is_and_never_a_password(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["secrets", "list", "prod"]) == 0
    assert "none yet" in capsys.readouterr().out
    assert cli.main(["secrets", "ensure", "prod"]) == 0
    assert capsys.readouterr().out.startswith("made passwords for app, admin, ")
    assert cli.main(["secrets", "ensure", "prod", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"made": [], "hashed": []}
    assert cli.main(["secrets", "list", "prod", "--json"]) == 0
    said = capsys.readouterr().out
    assert [it["user"] for it in json.loads(said)] == [user.name for user in users.of(cluster.environment)]
    assert not [password for password in passwords(cluster.environment).values() if password in said]


@pytest.mark.parametrize("grace", ["soon", "8d", "-1s"])
def test_a_grace_that_is_none_is_refused(grace: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["secrets", "rotate", "prod", f"--grace={grace}"]) == 2
    assert f"'{grace}': accepted: from 0s to 7d, as 30s, 10m or 4h" in capsys.readouterr().err


def test_an_application_that_there_is_not_is_refused_with_those_that_there_are(
    prod: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["endpoints", "prod", "--user", "shop"]) == 2
    assert "prod has no application shop; accepted: app" in capsys.readouterr().err


def test_names_of_deleted_secrets_are_free_again_when_a_person_says_so(
    prod: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, deleted, foreign = (names.secret(prod, user) for user in ("admin", "app", "formerly"))
    for name in (kept, deleted, foreign):
        boto("secretsmanager").create_secret(Name=name, SecretString="{}")
    for name in (deleted, foreign):
        boto("secretsmanager").delete_secret(SecretId=name, RecoveryWindowInDays=30)
    assert cli.main(["secrets", "release", "prod", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"released": [deleted]}
    listed = boto("secretsmanager").list_secrets(IncludePlannedDeletion=True)["SecretList"]
    assert {secret["Name"] for secret in listed} == {kept, foreign}
    assert cli.main(["secrets", "release", "prod"]) == 0
    assert "no name that it needs is reserved" in capsys.readouterr().out
