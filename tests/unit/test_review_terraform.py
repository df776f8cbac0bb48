"""A stack that needs what others have not made yet is told from its synthesis; any other error of Terraform is one."""

import pytest

from holdfast.ops.review.terraform import needs_others

NO_STATE = """
Error: Unable to find remote state

  with data.terraform_remote_state.cross-stack-reference-input-shop-network,
  on cdk.tf.json line 31, in data.terraform_remote_state:

No stored state was found for the given workspace in the given backend.
"""
NO_OUTPUT = """
Error: Unsupported attribute

  on cdk.tf.json line 168, in resource.aws_cloudwatch_metric_alarm.shop-a2-status.dimensions:
 168: "InstanceId": "${data.terraform_remote_state.shop-zone-a.outputs.shop-a2id}"

This object does not have an attribute named "shop-a2id".
"""
NO_BUCKET = """
Error: error loading the remote state: S3 bucket
"holdfast-shop-state" does not exist.

Error: operation error S3: ListObjectsV2, https response error StatusCode:
404, NoSuchBucket:
"""
OTHER = """
Error: No valid credential sources found
"""
TYPO = """
Error: Unsupported attribute

  on cdk.tf.json line 5: ${aws_vpc.vpc.idd}
"""


@pytest.mark.parametrize("errors", [NO_STATE, NO_OUTPUT, NO_BUCKET, NO_STATE + NO_OUTPUT])
def test_what_is_not_there_yet_is_no_error(errors: str) -> None:
    assert needs_others(errors)


@pytest.mark.parametrize("errors", ["", OTHER, TYPO, NO_STATE + OTHER, OTHER + NO_STATE])
def test_anything_else_is_one(errors: str) -> None:
    assert not needs_others(errors)
