"""A whole deploy, rollouts and a retirement as a role that has exactly the policies of `holdfast policies`.

One environment, `granted`, goes through its life in the order of these tests, with what it is allowed evaluated for
each call. What it is refused fails its Terraform; what it is allowed and has not used by the end is named here, with a
reason, or is too much.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from holdfast.drill.emulated import TIMEOUT, Terraform, driven, emulated, reporting, written
from holdfast.mirror import REPOSITORY, require_provider
from holdfast.ops import cloud
from holdfast.ops.policies.roles import managed
from holdfast.topology import Environment, emulation, load_environment
from holdfast.topology.emulation import Key
from holdfast.twin.api import Api
from holdfast.twin.api.serving import Refusal, Request

pytestmark = pytest.mark.long

BOUNDARY = "arn:aws:iam::123456789012:policy/holdfast-granted-boundary"

ENVIRONMENT = """\
name: granted
region: eu-central-1
zones: [a]
network: {{cidr: 10.89.0.0/16, {network}}}
layout: single
images: baked
machines:
  node: {{type: {type}, image: debian-12, data_volume_gib: {gib}}}
redis: {{memory: {memory}}}
applications: {{{applications}}}
tls: required
cloud: {{endpoint: "{endpoint}", node_endpoint: "{endpoint}", permissions_boundary: "{boundary}"}}
protected: {protected}
"""

BEFORE = {
    "boundary": BOUNDARY,
    "network": "public: true, clients: [10.89.0.0/16, 203.0.113.0/24]",
    "type": "t3.small",
    "gib": 4,
    "memory": "256MB",
    "applications": "app: {}",
    "protected": "true",
}

ORDER = [["network", "identity"], ["zone-a", "names"], ["watch"]]
STACKS = [stack for row in ORDER for stack in row]

WITHOUT_VALIDATION = "iam:GetUser"
"""By which the provider asks for the account where its credentials are not validated, as on an emulation: refused, it
asks STS."""

TAGS = "a tag that goes: here none does"
EDIT = "what a later release may change in place, and no environment file can"
STATE = "an emulation's states are on this machine"
STOPPED = "a type alone that changes, which a review blocks unless it is overridden"
APART = "a layout with more than one node in a zone"

NOT_USED: dict[tuple[str, str], str] = {
    ("Alarms", "cloudwatch:UntagResource"): TAGS,
    ("Change", "ec2:DeleteTags"): TAGS,
    ("ChangeKey", "kms:TagResource"): EDIT,
    ("ChangeKey", "kms:UntagResource"): TAGS,
    ("FlowLog", "logs:UntagResource"): TAGS,
    ("Profiles", "iam:UntagInstanceProfile"): TAGS,
    ("Roles", "iam:UntagRole"): TAGS,
    ("Secrets", "secretsmanager:UntagResource"): TAGS,
    ("Topic", "sns:UntagResource"): TAGS,
    ("Make1", "ec2:CreatePlacementGroup"): APART,
    ("Change", "ec2:DeletePlacementGroup"): APART,
    ("Look", "ec2:DescribePlacementGroups"): APART,
    ("Look", "ec2:GetSubnetCidrReservations"): "a network that is there already",
    ("BoundedRoles", "iam:PutRolePermissionsBoundary"): "a boundary that comes to an environment that runs",
    ("Change", "ec2:AssignPrivateIpAddresses"): "endpoints that come to a machine that has none",
    ("Change", "ec2:UnassignPrivateIpAddresses"): "endpoints that go from a machine that stays",
    ("Change", "ec2:DetachNetworkInterface"): "an interface whose machine is still there",
    (
        "Change",
        "ec2:DisassociateRouteTable",
    ): "open: the twin does not find the table of an association, and so asks for nothing",
    ("Change", "ec2:ModifyInstanceMetadataOptions"): EDIT,
    ("Change", "ec2:ModifySecurityGroupRules"): EDIT,
    ("Change", "ec2:ModifyVpcEndpoint"): "a zone that comes or goes",
    ("Change", "ec2:StartInstances"): STOPPED,
    ("Change", "ec2:StopInstances"): STOPPED,
    ("ChangeKey", "kms:PutKeyPolicy"): EDIT,
    ("ChangeKey", "kms:UpdateKeyDescription"): EDIT,
    ("FlowLog", "logs:AssociateKmsKey"): EDIT,
    ("ListStates", "s3:ListBucket"): STATE,
    ("ReadStates", "s3:GetObject"): STATE,
    ("WriteStates", "s3:DeleteObject"): STATE,
    ("WriteStates", "s3:PutObject"): STATE,
    ("Look", "s3:ListAllMyBuckets"): STATE,
    ("Look", "ec2:DescribeVolumesModifications"): "moto changes a volume at once",
    ("Objects", "s3:DeleteObject"): "an order to a node that is given: none was needed",
    ("RevokeRules", "ec2:RevokeSecurityGroupIngress"): "moto gives a network's own group no rule inwards",
    ("Roles", "iam:UpdateAssumeRolePolicy"): EDIT,
    ("Roles", "iam:UpdateRole"): EDIT,
    ("Secrets", "secretsmanager:UpdateSecret"): EDIT,
    ("Zone", "route53:UpdateHostedZoneComment"): EDIT,
}
"""(Sid, action) → why it is allowed all the same."""


@dataclass
class Life:
    """The environment, and the role that deploys it."""

    api: Api
    terraform: Terraform
    credentials: Path
    refused: list[str] = field(default_factory=list)
    text: dict[str, Any] = field(default_factory=lambda: dict(BEFORE))

    @property
    def file(self) -> Path:
        return self.terraform.folder / "granted.yaml"

    @property
    def environment(self) -> Environment:
        return load_environment(self.file)

    def change(self, **values: Any) -> None:
        """Write it into the file, and deploy."""
        self.text |= values
        self.file.write_text(ENVIRONMENT.format(endpoint=self.api.url, **self.text))
        self.terraform.synth()
        self.terraform.each(self.terraform.apply, ORDER)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(REPOSITORY / ".venv" / "bin" / "holdfast"), *command],
            cwd=REPOSITORY,
            env=self.terraform.variables,
            text=True,
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
        )


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    require_provider()
    folder = tmp_path_factory.mktemp("granted")
    with emulated() as api:
        environment = written(folder, "granted", ENVIRONMENT.format(endpoint=api.url, **BEFORE))
        credentials = folder / "credentials"
        give(api, environment, "deploy", credentials)
        with mock.patch.dict(os.environ, {emulation.VARIABLE: str(credentials)}):
            terraform = driven(folder, "granted")
        life = Life(api, terraform, credentials)
        allowed = api._permissions.refusal

        def noted(request: Request) -> Refusal | None:
            if refusal := allowed(request):
                life.refused.append(f"{request.call.service}:{request.call.action} {refusal.body}")
            return refusal

        api._permissions.refusal = noted  # type: ignore[method-assign]
        with reporting(environment):
            terraform.each(terraform.apply, ORDER)
            yield life


def give(api: Api, environment: Environment, role: str, credentials: Path) -> None:
    """A role with the policies of that name, as a person makes it; its keys into that file."""
    iam = cloud.client(environment, "iam")
    documents = managed(environment, [role, "boundary"])
    name = f"holdfast-{environment.name}-{role}"
    iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")
    for policy, document in documents.items():
        arn = iam.create_policy(PolicyName=policy, PolicyDocument=json.dumps(document))["Policy"]["Arn"]
        if not policy.endswith("-boundary"):
            iam.attach_role_policy(RoleName=name, PolicyArn=arn)
        else:
            assert arn == BOUNDARY
    keys = api.credentials_for(name)
    emulation.write(credentials, Key(keys["AccessKeyId"], keys["SecretAccessKey"]))


def test_a_deploy_takes_no_more_and_plans_no_change(life: Life) -> None:
    assert life.terraform.plans(STACKS) == dict.fromkeys(STACKS, {})
    assert unexpected(life) == []


def test_every_role_that_the_stacks_make_is_bounded(life: Life) -> None:
    iam = cloud.client(life.environment, "iam")
    made = [it["RoleName"] for it in iam.list_roles()["Roles"] if it["RoleName"] != "holdfast-granted-deploy"]
    assert sorted(made) == ["holdfast-granted-flows", "holdfast-granted.a1"]
    for role in made:
        bound = iam.get_role(RoleName=role)["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"]
        assert bound == BOUNDARY


def test_it_may_ask_whether_the_account_is_ready(life: Life) -> None:
    done = life.run("preflight", "granted", "--json")
    assert [it for it in json.loads(done.stdout)["checks"] if it["verdict"] != "right"] == []
    assert unexpected(life) == []


def test_a_rollout_replaces_a_machine(life: Life) -> None:
    """Protected until then, with public addresses, versions in its bucket and a smaller volume."""
    before = machine(life.api).id
    more = {"gib": 6, "applications": 'app: {}, more: {keys: ["more:*"]}'}
    life.change(memory="300MB", protected="false", network="nat: one", **more)
    assert machine(life.api).id != before
    assert unexpected(life) == []


def test_a_network_leads_elsewhere_and_what_is_left_out_goes(life: Life) -> None:
    life.change(network="egress: endpoints, domain: none", type="t3.medium", applications="app: {}")
    assert unexpected(life) == []


def test_an_environment_is_retired(life: Life) -> None:
    done = life.run("retire", "granted", "--yes-really", "granted")
    assert done.returncode == 0, done.stderr
    assert unexpected(life) == []


def test_what_is_allowed_was_used(life: Life) -> None:
    too_much = unused(life)
    assert too_much - set(NOT_USED) == set()
    assert set(NOT_USED) - too_much == set(), "these are used by now"


def machine(api: Api) -> Any:
    (found,) = [it for it in api.view().instances.values() if it.name == "granted-a1" and it.state == "running"]
    return found


def unexpected(life: Life) -> list[str]:
    return [it for it in life.refused if not it.startswith(WITHOUT_VALIDATION)]


def unused(life: Life) -> set[tuple[str, str]]:
    """Statement and action that were not taken, on any resource."""
    left = life.api.unused_permissions()["holdfast-granted-deploy"]
    allowed = [
        (statement["Sid"], action)
        for name, document in managed(life.environment, ["deploy"]).items()
        for statement in document["Statement"]
        if statement["Effect"] == "Allow"
        for action in statement["Action"]
        for _ in statement["Resource"]
    ]
    not_taken = [(sid, action) for sid, action, _ in left]
    return {grant for grant in set(allowed) if not_taken.count(grant) == allowed.count(grant)}
