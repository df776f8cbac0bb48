"""What every stack of an environment shares: provider, tags, where its state lives."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cdktf import (
    App,
    ITerraformDependable,
    LocalBackend,
    LocalExecProvisioner,
    S3Backend,
    TerraformResource,
    TerraformStack,
)

from holdfast.topology import Cluster, emulation, names
from stacks.bindings.aws.provider import AwsProvider, AwsProviderDefaultTags, AwsProviderIgnoreTags
from stacks.protection import protect

REPOSITORY = Path(__file__).resolve().parents[1]

TERRAFORM_VERSION = ">= 1.11.0"
"""From 1.11 on the S3 backend's own lock file is no experiment any more."""


class Stack(TerraformStack):
    """One failure domain of one environment."""

    def __init__(self, app: App, name: str, cluster: Cluster) -> None:
        super().__init__(app, name)
        self.name = name
        self._folder = Path(app.outdir) / "stacks" / name
        self.cluster = cluster
        self.environment = cluster.environment
        self.add_override("terraform.required_version", TERRAFORM_VERSION)
        self._keep_state()
        self._use_cloud()
        if self.environment.protected:
            protect(self)

    def tags(self, what: str) -> dict[str, str]:
        """A resource's own tags; those of the environment come from the provider."""
        return {"Name": names.resource(self.environment, what)}

    @property
    def default_tags(self) -> dict[str, str]:
        """The tags of everything in the stack."""
        return names.all_tags(self.environment)

    def from_here(self, path: Path) -> str:
        """`path` relative to the folder that Terraform runs in, so that the output names no place on this machine."""
        return os.path.relpath(path, self._folder.resolve())

    @property
    def _accounts(self) -> list[str] | None:
        """Where it may be; None: anywhere."""
        account = self.environment.cloud.account
        return None if account is None else [account]

    def _keep_state(self) -> None:
        if self.environment.api_endpoint is not None:
            LocalBackend(self, path=self.from_here(names.LOCAL_STATE / names.state_key(self.name)))
            return
        backend = S3Backend(
            self,
            bucket=names.state_bucket(self.environment),
            key=names.state_key(self.name),
            region=self.environment.region,
            # Nothing about encryption: `encrypt` without a key is AES256, in place of the bucket's own key of KMS.
            allowed_account_ids=self._accounts,
        )
        backend.add_override("use_lockfile", True)  # cdktf 0.21 has no argument for it

    def _use_cloud(self) -> None:
        endpoint = self.environment.api_endpoint
        provider = AwsProvider(
            self,
            "aws",
            region=self.environment.region,
            default_tags=[AwsProviderDefaultTags(tags=self.default_tags)],
            allowed_account_ids=self._accounts,
            ignore_tags=[AwsProviderIgnoreTags(key_prefixes=[names.RUN_TIME_TAGS])],
            **({} if endpoint is None else emulation.provider()),
        )
        if endpoint is not None:
            # By override: the bindings leave out the provider's 250 endpoints, which would make every synth slower.
            provider.add_override("endpoints", emulation.endpoints(endpoint))


def run_holdfast(
    stack: Stack,
    what: str,
    command: str,
    whenever: Mapping[str, Any],
    after: Sequence[ITerraformDependable] = (),
    options: str = "",
) -> TerraformResource:
    """Have a deploy run a `holdfast` command about the environment, at first and whenever these values change."""
    name = shlex.quote(stack.environment.name)
    # Not cdktf's own `DataResource`: that runs `terraform version` in every synth, for each stack.
    resource = TerraformResource(
        stack,
        what,
        terraform_resource_type="terraform_data",
        depends_on=list(after) or None,
        provisioners=[
            LocalExecProvisioner(
                type="local-exec",
                command=f'PATH="$PWD/.venv/bin:$PATH" holdfast {command} {name} {options}'.rstrip(),
                working_dir=stack.from_here(REPOSITORY),
            )
        ],
    )
    resource.add_override("triggers_replace", dict(whenever))
    return resource
