"""The stacks with the real provider against the emulated API, without machines: apply, plan again, change, destroy.

One environment goes through its life in the order of these tests; `prod` only plans.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import boto3
import pytest

from holdfast.drill.emulated import ENVIRONMENT, ORDER, STACKS, Terraform, environment_of, quick_environment
from holdfast.errors import HoldfastError
from holdfast.mirror import REPOSITORY
from holdfast.ops import cloud
from holdfast.topology import Environment, find_environment, load_environment, names
from holdfast.twin.api import Api


def test_a_new_environment_is_applied_and_then_plans_no_change(applied: Terraform) -> None:
    assert applied.plans(STACKS) == dict.fromkeys(STACKS, {})


def test_what_was_deployed_without_tls_gets_none_unless_its_file_says_so(applied: Terraform, tmp_path: Path) -> None:
    """As one that was deployed when `off` was the default: nothing is planned, so clients keep their port."""
    text = (applied.folder / "planned.yaml").read_text()
    for said in ("", "tls: required\n"):
        folder = tmp_path / (said or "unsaid").split(":")[0]
        folder.mkdir()
        (folder / "planned.yaml").write_text(text.replace("tls: off\n", said))
        shutil.copy(applied.folder / "images.lock.json", folder)
        places = {"HOLDFAST_ENVIRONMENTS_DIR": str(folder), "CDKTF_OUTDIR": str(folder / "out")}
        edited = Terraform(folder, "planned", applied.variables | places)
        edited.synth()
        edited.init("network")
        if said:
            assert edited.plan("network")["aws_vpc_security_group_ingress_rule.endpoint-from-10-77-0-0-16-in"] == [
                "delete"
            ]
        else:
            with pytest.raises(HoldfastError) as refused:
                edited.plan("network")
            assert "Write `tls: off` to keep it so" in " ".join(re.sub("[│╷╵]", "", str(refused.value)).split())


def test_an_interface_has_its_addresses_in_order_and_a_machine_only_that_interface(
    terraform: Terraform, api: Api
) -> None:
    view = api.view()
    machines = {instance.name: instance for instance in view.instances.values()}
    (interface,) = machines["planned-b1"].interfaces
    assert [str(address) for address in view.interfaces[interface].addresses] == [
        "10.77.16.4",
        "10.77.16.5",
        "10.77.16.6",
    ]
    assert machines["planned-b1"].zone == "eu-central-1b"


def test_no_password_is_in_a_state_or_in_user_data(terraform: Terraform, environment: Environment, api: Api) -> None:
    secrets = cloud.client(environment, "secretsmanager")
    passwords = []
    for user in ("app", "node"):
        content = json.loads(secrets.get_secret_value(SecretId=names.secret(environment, user))["SecretString"])
        assert content["user"] == user
        assert re.fullmatch(r"[A-Za-z0-9]{40}", content["password"])
        passwords.append(content["password"])
    assert passwords[0] != passwords[1]
    states = list((terraform.folder / "state").glob("*.tfstate*"))
    assert len({state.name for state in states if state.suffix == ".tfstate"}) == 7
    for password in passwords:
        assert not [state for state in states if password in state.read_text()]
        assert not [it for it in api.view().instances.values() if password.encode() in it.user_data]


def test_changed_user_data_replaces_the_machine_and_nothing_that_lasts(
    terraform: Terraform, environment: Environment, api: Api
) -> None:
    file = terraform.folder / "planned.yaml"
    file.write_text(ENVIRONMENT.format(endpoint=api.url, memory="300MB"))
    terraform.synth()
    assert terraform.plans(["network", "identity", "zone-b"]) == {
        "network": {},
        "identity": {},
        "zone-b": {
            "aws_instance.planned-b1": ["delete", "create"],
            "terraform_data.gate": ["delete", "create"],
            "aws_cloudwatch_metric_alarm.planned-b1-status": ["update"],
        },
    }


def test_the_machine_is_replaced_with_the_same_interface_and_volume(
    terraform: Terraform, reports: None, api: Api
) -> None:
    before = {it.name: it for it in api.view().instances.values() if it.state == "running"}
    terraform.apply("zone-b")
    after = {it.name: it for it in api.view().instances.values() if it.state == "running"}
    assert after["planned-b1"].id != before["planned-b1"].id
    assert after["planned-b1"].interfaces == before["planned-b1"].interfaces
    assert after["planned-a1"] == before["planned-a1"]
    assert terraform.plan("zone-b") == {}


def test_destroy_leaves_nothing(terraform: Terraform, environment: Environment, api: Api) -> None:
    terraform.each(terraform.destroy, list(reversed(ORDER)))
    view = api.view()
    left = [view.vpcs, view.subnets, view.groups, view.interfaces, view.volumes, view.nat_gateways, view.endpoints]
    assert not any(left)
    assert {instance.state for instance in view.instances.values()} <= {"terminated"}

    def ask(service: str, call: str, found: str) -> list[Any]:
        answer: list[Any] = getattr(cloud.client(environment, service), call)()[found]
        return answer

    assert ask("ec2", "describe_placement_groups", "PlacementGroups") == []
    assert ask("s3", "list_buckets", "Buckets") == []
    assert ask("secretsmanager", "list_secrets", "SecretList") == []
    assert ask("iam", "list_roles", "Roles") == []
    assert ask("iam", "list_instance_profiles", "InstanceProfiles") == []
    assert ask("sns", "list_topics", "Topics") == []
    assert ask("cloudwatch", "describe_alarms", "MetricAlarms") == []
    assert ask("logs", "describe_log_groups", "logGroups") == []
    aliases = {alias["AliasName"] for alias in ask("kms", "list_aliases", "Aliases")}
    assert not [alias for alias in aliases if not alias.startswith("alias/aws/")]


def test_prod_plans(api: Api, tmp_path: Path) -> None:
    """Every stack of it as it is, with AWS's own endpoints led to the emulation by the environment."""
    variables = quick_environment() | environment_of(api)
    variables |= {"HOLDFAST_ENVIRONMENTS": "prod", "CDKTF_OUTDIR": str(tmp_path / "out")}
    for name in ("AWS_PROFILE", "HOLDFAST_ENVIRONMENTS_DIR"):
        variables.pop(name, None)
    terraform = Terraform(tmp_path, "prod", variables)
    terraform.synth()
    _publish_outputs(tmp_path / "out", api)
    terraform.each(terraform.init, [STACKS])
    planned = terraform.plans(STACKS)
    assert all(actions == ["create"] for changes in planned.values() for actions in changes.values())
    golden = (REPOSITORY / "tests" / "synth" / "golden" / "prod.txt").read_text().splitlines()
    assert sorted(f"prod-{stack} {address}" for stack, changes in planned.items() for address in changes) == sorted(
        golden
    )


def _publish_outputs(outdir: Path, api: Api) -> None:
    """What the stacks would have left in their states, for those that read it: nothing of prod was ever applied."""
    keys = {"aws_access_key_id": api.key.id, "aws_secret_access_key": api.key.secret}
    s3 = boto3.client("s3", region_name="eu-central-1", endpoint_url=api.url, **keys)
    made = {"value": "arn:aws:kms:eu-central-1:123456789012:key/made-up-by-a-test", "type": "string", "sensitive": True}
    prod = load_environment(find_environment("prod"))
    location: Any = {"LocationConstraint": prod.region}
    s3.create_bucket(Bucket=names.state_bucket(prod), CreateBucketConfiguration=location)
    for file in outdir.glob("stacks/*/cdk.tf.json"):
        content = json.loads(file.read_text())
        backend = content["terraform"]["backend"]["s3"]
        state = {
            "version": 4,
            "terraform_version": "1.11.0",
            "serial": 1,
            "lineage": file.parent.name,
            "outputs": dict.fromkeys(content.get("output", {}), made),
            "resources": [],
        }
        s3.put_object(Bucket=backend["bucket"], Key=backend["key"], Body=json.dumps(state))
