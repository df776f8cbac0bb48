"""The network of a team, made by its own Terraform (`main.tf`), which knows nothing of Holdfast."""

from __future__ import annotations

import json
import shutil
import subprocess
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.mirror import lock_provider, tool_environment
from holdfast.topology import emulation

MODULE = Path(__file__).with_name("main.tf")


class Team:
    """Its Terraform, in a folder that has its state."""

    def __init__(self, folder: Path, region: str, endpoint: str) -> None:
        self._folder = folder
        self._provider = emulation.provider() | {"region": region, "endpoints": emulation.endpoints(endpoint)}

    def network(self) -> dict[str, Any]:
        """Section `network` of an environment that is in it. It is made where it is not there yet.

        Raises:
            HoldfastError: Terraform failed.
        """
        if not (self._folder / "terraform.tfstate").exists():
            self._apply()
        made = {key: it["value"] for key, it in json.loads(self._run("output", "-json")).items()}
        subnets = {letter: it | {"block": _block(it["cidr"])} for letter, it in made["subnets"].items()}
        vpc = {"id": made["vpc"], "subnets": subnets, "route_tables": [made["route_table"]]}
        return {"cidr": "10.43.0.0/16", "vpc": vpc, "domain": "none"}

    def changes(self) -> dict[str, list[str]]:
        """What its own Terraform would do to it: resource → actions."""
        self._run("plan", "-input=false", "-out=plan")
        shown = json.loads(self._run("show", "-json", "plan"))
        changes = {it["address"]: it["change"]["actions"] for it in shown["resource_changes"]}
        return {address: actions for address, actions in changes.items() if actions != ["no-op"]}

    def _apply(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(MODULE, self._folder)
        (self._folder / "provider.tf.json").write_text(json.dumps({"provider": {"aws": [self._provider]}}))
        lock_provider(self._folder)
        self._run("init", "-input=false")
        self._run("apply", "-auto-approve", "-input=false")

    def _run(self, command: str, *arguments: str) -> str:
        done = subprocess.run(
            ["terraform", command, *arguments, *(["-no-color"] if command != "output" else [])],
            cwd=self._folder,
            env=tool_environment(),
            capture_output=True,
            text=True,
            timeout=600,
        )
        if done.returncode:
            raise HoldfastError(
                f"{self._folder}: terraform {command} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
            )
        return done.stdout


def _block(cidr: str) -> str:
    """The last part of a subnet but one, of sixteen addresses."""
    return str(list(IPv4Network(cidr).subnets(new_prefix=28))[-2])
