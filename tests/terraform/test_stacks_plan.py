"""The stacks with the real provider against the emulated API, without machines: apply, plan again, change, destroy.

One environment goes through its life in the order of these tests; `prod` only plans. Reports that machines would write
come from a thread, so that the gates are the real ones too.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from holdfast.mirror import require_provider, terraform_environment
from holdfast.ops import cloud
from holdfast.topology import Cluster, Environment, find_environment, load_environment, names, pins
from holdfast.twin.api import Api

REPOSITORY = Path(__file__).resolve().parents[2]
TIMEOUT = 300
REPORT_EVERY = 0.5

ENVIRONMENT = """\
name: planned
region: eu-central-1
zones: [a, b, c]
network: {{cidr: 10.77.0.0/16}}
images: baked
machines:
  node: {{type: t3.small, image: debian-12}}
redis: {{memory: {memory}}}
cloud: {{endpoint: "{endpoint}", node_endpoint: "{endpoint}"}}
protected: false
"""

ORDER = [["network", "identity"], ["zone-a", "zone-b", "zone-c"], ["watch"]]
"""Stacks of one row need nothing of each other. (A deploy takes the zones one by one all the same.)"""


@dataclass
class Terraform:
    """One environment's stacks, synthesised and driven as cdktf drives them."""

    folder: Path
    name: str
    variables: dict[str, str]

    def synth(self) -> None:
        self._run([sys.executable, "main.py"], REPOSITORY)

    def init(self, stack: str) -> None:
        self._run(["terraform", "init", "-input=false", "-no-color"], self.stack(stack))

    def apply(self, stack: str) -> None:
        self.init(stack)
        self._run(["terraform", "apply", "-auto-approve", "-input=false", "-no-color"], self.stack(stack))

    def destroy(self, stack: str) -> None:
        self._run(["terraform", "destroy", "-auto-approve", "-input=false", "-no-color"], self.stack(stack))

    def plan(self, stack: str) -> dict[str, list[str]]:
        """Resource address → what would be done to it, of all that would change."""
        folder = self.stack(stack)
        self._run(["terraform", "plan", "-out=plan", "-input=false", "-no-color"], folder)
        shown: dict[str, Any] = json.loads(self._run(["terraform", "show", "-json", "plan"], folder))
        changes = {
            it["address"]: it["change"]["actions"] for it in shown["resource_changes"] if it["mode"] == "managed"
        }
        return {address: actions for address, actions in changes.items() if actions != ["no-op"]}

    def stack(self, stack: str) -> Path:
        return self.folder / "out" / "stacks" / f"{self.name}-{stack}"

    def each(self, do: Callable[[str], None], rows: list[list[str]]) -> None:
        with ThreadPoolExecutor() as pool:
            for row in rows:
                list(pool.map(do, row))

    def _run(self, command: list[str], folder: Path) -> str:
        done = subprocess.run(
            command, cwd=folder, env=self.variables, text=True, capture_output=True, timeout=TIMEOUT, check=False
        )
        assert done.returncode == 0, f"{folder.name}: {' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done.stdout


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    require_provider()
    api = Api(port=0, instant=True)
    api.start()
    api.register_image("ami-0a1b2c3d4e5f60718", "holdfast-debian-12-amd64-1", api.account, "x86_64")
    yield api
    api.stop()


@pytest.fixture(scope="module")
def environment(api: Api, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    folder = tmp_path_factory.mktemp("planned")
    file = folder / "planned.yaml"
    file.write_text(ENVIRONMENT.format(endpoint=api.url, memory="256MB"))
    environment = load_environment(file)
    pin = pins.Pin("ami-0a1b2c3d4e5f60718", "holdfast-debian-12-amd64-1", "a test")
    pins.write(environment, {pins.key(environment, environment.machines.node): pin}, folder)
    return environment


@pytest.fixture(scope="module")
def terraform(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    folder = next(tmp_path_factory.getbasetemp().glob("planned*"))
    variables = terraform_environment() | {
        "HOLDFAST_ENVIRONMENTS_DIR": str(folder),
        "HOLDFAST_STATE_DIR": str(folder / "state"),
        "CDKTF_OUTDIR": str(folder / "out"),
    }
    terraform = Terraform(folder, environment.name, variables)
    terraform.synth()
    return terraform


@pytest.fixture(scope="module")
def reports(environment: Environment) -> Iterator[None]:
    """Every running instance says that all is well, as its machine would."""
    stop = threading.Event()
    thread = threading.Thread(target=_report_until, args=(stop, environment))
    thread.start()
    yield
    stop.set()
    thread.join()


def _report_until(stop: threading.Event, environment: Environment) -> None:
    ec2, s3 = cloud.client(environment, "ec2"), cloud.client(environment, "s3")
    while not stop.wait(REPORT_EVERY):
        running = ec2.describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["running"]}])
        for reservation in running["Reservations"]:
            for instance in reservation["Instances"]:
                name = next(tag["Value"] for tag in instance["Tags"] if tag["Key"] == "Node")
                body = json.dumps(_report(Cluster.of(environment), name, instance["InstanceId"]))
                s3.put_object(Bucket=names.bucket(environment), Key=names.report_key(name), Body=body)


def _report(cluster: Cluster, name: str, instance_id: str) -> dict[str, Any]:
    leader, *replicas = cluster.nodes
    following = [{"address": str(it.address), "offset": 1, "state": "online", "lag_s": 0} for it in replicas]
    return {
        "node": name,
        "instance_id": instance_id,
        "ready": True,
        "decision": "made up by a test",
        "address": str(cluster.node(name).address),
        "redis": {"role": "leader", "offset": 1, "replicas": following} if name == leader.name else {"role": "replica"},
        "sentinel": {"leader": str(leader.address)},
    }


def test_a_new_environment_is_applied_and_then_plans_no_change(terraform: Terraform, reports: None) -> None:
    terraform.each(terraform.apply, ORDER)
    for row in ORDER:
        for stack in row:
            assert terraform.plan(stack) == {}, stack


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
    for user in ("app", "system"):
        content = json.loads(secrets.get_secret_value(SecretId=names.secret(environment, user))["SecretString"])
        assert content["user"] == user
        assert re.fullmatch(r"[A-Za-z0-9]{40}", content["password"])
        passwords.append(content["password"])
    assert passwords[0] != passwords[1]
    states = list((terraform.folder / "state").glob("*.tfstate*"))
    assert len({state.name for state in states if state.suffix == ".tfstate"}) == 6
    for password in passwords:
        assert not [state for state in states if password in state.read_text()]
        assert not [it for it in api.view().instances.values() if password.encode() in it.user_data]


def test_changed_user_data_replaces_the_machine_and_nothing_that_lasts(
    terraform: Terraform, environment: Environment, api: Api
) -> None:
    file = terraform.folder / "planned.yaml"
    file.write_text(ENVIRONMENT.format(endpoint=api.url, memory="300MB"))
    terraform.synth()
    assert terraform.plan("network") == terraform.plan("identity") == {}
    assert terraform.plan("zone-b") == {
        "aws_instance.planned-b1": ["delete", "create"],
        "aws_volume_attachment.planned-b1-data-attached": ["delete", "create"],
        "terraform_data.gate": ["delete", "create"],
    }


def test_the_machine_is_replaced_with_the_same_interface_and_volume(
    terraform: Terraform, reports: None, api: Api
) -> None:
    before = {it.name: it for it in api.view().instances.values() if it.state == "running"}
    terraform.apply("zone-b")
    after = {it.name: it for it in api.view().instances.values() if it.state == "running"}
    assert after["planned-b1"].id != before["planned-b1"].id
    assert after["planned-b1"].interfaces == before["planned-b1"].interfaces
    assert after["planned-b1"].attachments == before["planned-b1"].attachments
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
    variables = terraform_environment() | {
        "HOLDFAST_ENVIRONMENTS": "prod",
        "CDKTF_OUTDIR": str(tmp_path / "out"),
        "AWS_ENDPOINT_URL": api.url,
        "AWS_ACCESS_KEY_ID": "holdfast",
        "AWS_SECRET_ACCESS_KEY": "holdfast",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name in ("AWS_PROFILE", "HOLDFAST_ENVIRONMENTS_DIR"):
        variables.pop(name, None)
    terraform = Terraform(tmp_path, "prod", variables)
    terraform.synth()
    _publish_outputs(tmp_path / "out", api)
    stacks = [stack for row in ORDER for stack in row]
    terraform.each(terraform.init, [stacks])
    planned = {stack: terraform.plan(stack) for stack in stacks}
    assert all(actions == ["create"] for changes in planned.values() for actions in changes.values())
    golden = (REPOSITORY / "tests" / "synth" / "golden" / "prod.txt").read_text().splitlines()
    assert sorted(f"prod-{stack} {address}" for stack, changes in planned.items() for address in changes) == sorted(
        golden
    )


def _publish_outputs(outdir: Path, api: Api) -> None:
    """What the stacks would have left in their states, for those that read it: nothing of prod was ever applied."""
    keys = {"aws_access_key_id": "holdfast", "aws_secret_access_key": "holdfast"}
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
