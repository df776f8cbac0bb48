"""What keeps a protected environment from being destroyed by mistake: one rule for every stack, by kind of resource.

`holdfast retire ENV` is the way to destroy one on purpose.
"""

from __future__ import annotations

import jsii
from cdktf import Aspects, IAspect, LocalExecProvisioner, TerraformResource, TerraformStack
from constructs import IConstruct

from stacks.bindings.aws.ebs_volume import EbsVolume
from stacks.bindings.aws.instance import Instance
from stacks.bindings.aws.kms_key import KmsKey
from stacks.bindings.aws.network_interface import NetworkInterface
from stacks.bindings.aws.s3_bucket import S3Bucket
from stacks.bindings.aws.secretsmanager_secret import SecretsmanagerSecret

LASTING = (EbsVolume, KmsKey, NetworkInterface, S3Bucket, SecretsmanagerSecret)
"""What holds data, or an identity that clients know."""


@jsii.implements(IAspect)
class _Protection:
    """What lasts is never destroyed by a plan, and no machine is terminated from outside of Terraform.

    The provider lifts an instance's termination protection itself when it replaces one (as of 5.100; version 6 wants
    `force_destroy` for that), so a rollout is not held up: what is refused is the console, a script, another team's
    sweeper.
    """

    def visit(self, node: IConstruct) -> None:
        if isinstance(node, LASTING):
            node.add_override("lifecycle.prevent_destroy", True)
        elif isinstance(node, Instance):
            node.disable_api_termination = True


def protect(stack: TerraformStack) -> None:
    """Have the rule hold for all that `stack` has or gets. By stack: on the app, cdktf ignores aspects silently."""
    Aspects.of(stack).add(_Protection())


def refuse_destroy(stack: TerraformStack, environment: str) -> None:
    """Have `terraform destroy` fail with a sentence before anything of the finished `stack` is destroyed.

    Terraform destroys what depends on others first, and does not go on where a destroy-time provisioner fails. Its own
    `prevent_destroy` names a line of a generated file, and only in the stacks that have something lasting; cdktf
    begins with those that have nothing.
    """
    TerraformResource(
        stack,
        "refusal",
        terraform_resource_type="terraform_data",
        depends_on=[child for child in stack.node.children if isinstance(child, TerraformResource)],
        provisioners=[
            LocalExecProvisioner(
                type="local-exec",
                when="destroy",
                environment={"SENTENCE": REFUSAL.format(environment=environment)},
                command='echo "$SENTENCE"; exit 1',
            )
        ],
    )


REFUSAL = (
    "{environment} is protected, and nothing was destroyed. To destroy it with its data: holdfast retire {environment}"
)
