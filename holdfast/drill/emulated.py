"""An environment applied by the real provider to the emulated API alone, without machines, driven as cdktf drives it.

Reports that machines would write come from a thread, so that the gates are the real ones.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from holdfast.errors import HoldfastError
from holdfast.mirror import REPOSITORY, terraform_environment
from holdfast.ops import cloud
from holdfast.ops.vault import USED, Vault
from holdfast.topology import Cluster, Environment, emulation, load_environment, names, pins
from holdfast.twin.api import Api

TIMEOUT = 1200
"""Seconds for one command. It takes 40, and much longer beside others that want the cores."""

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
tls: off
cloud: {{endpoint: "{endpoint}", node_endpoint: "{endpoint}"}}
protected: false
"""

STACKS = ["network", "identity", "zone-a", "zone-b", "zone-c", "watch", "names"]
ORDER = [["network", "identity"], ["zone-a", "names"], ["zone-b", "zone-c"], ["watch"]]
"""Stacks of one row need nothing of each other. (A deploy takes the zones one by one all the same.)"""


AT_ONCE = 4
"""Plans that run side by side, with a gigabyte each: two fill two cores, more fill what one of them waits for."""


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
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for row in rows:
                list(pool.map(do, row))

    def plans(self, stacks: Iterable[str]) -> dict[str, dict[str, list[str]]]:
        """Stack → what would be done to it."""
        listed = list(stacks)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return dict(zip(listed, pool.map(self.plan, listed), strict=True))

    def _run(self, command: list[str], folder: Path) -> str:
        done = subprocess.run(
            command, cwd=folder, env=self.variables, text=True, capture_output=True, timeout=TIMEOUT, check=False
        )
        if done.returncode:
            said = f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
            raise HoldfastError(f"{folder.name}: {' '.join(command)} ended with {done.returncode}\n{said}")
        return done.stdout


@contextmanager
def emulated() -> Iterator[Api]:
    """The twin's API alone, with one image, and its key where clients look. Instances reach every state at once."""
    api = Api(port=0, instant=True)
    api.start()
    # Of an account that has several environments, public ones among them.
    api.grant({"elastic-ips": 50, "vpcs": 20, "internet-gateways": 20})
    api.register_image("ami-0a1b2c3d4e5f60718", "holdfast-debian-12-amd64-1", api.account, "x86_64")
    try:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "credentials"
            emulation.write(file, api.key)
            with mock.patch.dict(os.environ, {emulation.VARIABLE: str(file)}):
                yield api
    finally:
        api.stop()


def environment_of(api: Api) -> dict[str, str]:
    """For a process that takes AWS's own endpoints and keys from its environment: they lead to this API."""
    return {
        "AWS_ENDPOINT_URL": api.url,
        "AWS_ACCESS_KEY_ID": api.key.id,
        "AWS_SECRET_ACCESS_KEY": api.key.secret,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def written(folder: Path, name: str, text: str) -> Environment:
    """The environment of a file of that text, with pins beside it."""
    file = folder / f"{name}.yaml"
    file.write_text(text)
    environment = load_environment(file)
    images = {
        "debian-12/baked/amd64": pins.Pin("ami-0a1b2c3d4e5f60718", "holdfast-debian-12-amd64-1", "a test"),
        "debian-13/baked/amd64": pins.Pin("ami-0a1b2c3d4e5f60719", "holdfast-debian-13-amd64-1", "a test"),
    }
    pins.write(environment, images, folder)
    return environment


def driven(folder: Path, name: str) -> Terraform:
    """The environment of that name in `folder`, synthesised there, with its states."""
    variables = quick_environment() | {
        "HOLDFAST_ENVIRONMENTS_DIR": str(folder),
        "HOLDFAST_STATE_DIR": str(folder / "state"),
        "CDKTF_OUTDIR": str(folder / "out"),
    }
    terraform = Terraform(folder, name, variables)
    terraform.synth()
    return terraform


def quick_environment() -> dict[str, str]:
    """Terraform's, with a third less work: most of it is the provider's schema, read in by both and thrown away."""
    return terraform_environment() | {"GOGC": "400"}


@contextmanager
def reporting(environment: Environment) -> Iterator[None]:
    """Every running instance says that all is well, as its machine would."""
    stop = threading.Event()
    thread = threading.Thread(target=_report_until, args=(stop, environment))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _report_until(stop: threading.Event, environment: Environment) -> None:
    ec2, s3 = cloud.client(environment, "ec2"), cloud.client(environment, "s3")
    running_here = [
        {"Name": "instance-state-name", "Values": ["running"]},
        {"Name": "tag:Environment", "Values": [environment.name]},
    ]
    while not stop.wait(REPORT_EVERY):
        running = ec2.describe_instances(Filters=running_here)
        for reservation in running["Reservations"]:
            for instance in reservation["Instances"]:
                name = next(tag["Value"] for tag in instance["Tags"] if tag["Key"] == "Node")
                report = _report(Cluster.of(environment), name, instance["InstanceId"])
                body = json.dumps(report | _certificate(environment, name))
                s3.put_object(Bucket=names.bucket(environment), Key=names.report_key(name), Body=body)


def _certificate(environment: Environment, node: str) -> dict[str, Any]:
    """That it has taken the one that is in use, at once."""
    if not environment.tls.on:
        return {}
    used = Vault(environment).describe(names.node_certificate(environment, node)).versions[USED]
    return {"certificate": {"version": used, "ends": "2099-01-01T00:00:00+00:00"}}


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
        "gateway": {"floating": name == leader.name},
    }
