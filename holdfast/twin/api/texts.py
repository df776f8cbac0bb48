"""Texts that AWS does not take are refused: moto takes any name, description, tag and path."""

from __future__ import annotations

import json
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse
from moto.core.utils import get_service_model
from moto.s3.exceptions import InvalidBucketName, S3ClientError
from moto.s3.models import S3Backend
from moto.s3.responses import S3Response

from holdfast.twin.api.accepted import EC2_SET, Refused, broken, refusals
from holdfast.twin.api.patching import Method, around, refuse

CODES = {
    "cloudwatch": "ValidationError",
    "iam": "ValidationError",
    "kms": "ValidationException",
    "logs": "InvalidParameterException",
    "route53": "InvalidInput",
    "secretsmanager": "ValidationException",
    "sns": "InvalidParameter",
    "ssm": "ValidationException",
}
"""What a service calls a text that it does not take; of EC2 and S3, below."""


class Invalid(ServiceException):
    """In a class of its own, as moto looks for the service of an exception in the module that has its class."""


@around(BaseResponse, "call_action")
def _call(original: Method, self: Any) -> Any:
    service, action = str(self.boto3_service_name), self._get_action()
    model = get_service_model(service) if service == "ec2" or service in CODES else None
    if model is None or action not in model.operation_names:
        return original(self)
    shape = model.operation_model(action).input_shape
    given = self.params if self.automated_parameter_parsing else json.loads(self.body or "{}")
    refused = next(refusals(service, shape, given), None) if shape else None
    return self.serialized(ActionResult(_refusal(service, refused))) if refused else original(self)


def _refusal(service: str, refused: Refused) -> ServiceException:
    if service in CODES:
        found = f"Value '{refused.text}' at '{refused.member}' failed to satisfy constraint: {refused.why}"
        return Invalid(CODES[service], f"1 validation error detected: {found}")
    if refused.structure == "CreateImageRequest" and refused.member == "Name":
        return refuse("InvalidAMIName.Malformed", f"AMI name {refused.text} is invalid. {refused.why}")
    if refused.member != "Description" or refused.structure == "CreateImageRequest":
        return refuse("InvalidParameterValue", f"Value ({refused.text}) for {refused.member} is invalid. {refused.why}")
    what = "security group" if refused.structure == "CreateSecurityGroupRequest" else "rule"
    return refuse(
        "InvalidParameterValue",
        f"Invalid {what} description. Valid descriptions are strings less than 256 characters from the following set:  "
        f"{EC2_SET}",
    )


@around(S3Backend, "create_bucket")
def _create_bucket(original: Method, self: Any, bucket_name: str, *args: Any, **kwargs: Any) -> Any:
    if broken("s3", "CreateBucketRequest", "Bucket", bucket_name):
        raise InvalidBucketName
    return original(self, bucket_name, *args, **kwargs)


def _read_tags(original: Method, self: Any, *args: Any) -> dict[str, str]:
    tags: dict[str, str] = original(self, *args)
    for key, value in tags.items():
        if broken("s3", "Tag", "Key", key) or broken("s3", "Tag", "Value", value):
            raise S3ClientError("InvalidTag", "The TagKey or TagValue you have provided is invalid")
    return tags


for _reader in ("_tagging_from_headers", "_tagging_from_xml", "_bucket_tagging_from_body"):
    around(S3Response, _reader)(_read_tags)


MOST_OF_AN_OBJECT = 10
"""Amazon S3 user guide, "Categorizing your storage using tags"."""


def _read_few_tags(original: Method, self: Any, *args: Any) -> dict[str, str]:
    tags: dict[str, str] = original(self, *args)
    if len(tags) > MOST_OF_AN_OBJECT:
        raise S3ClientError("BadRequest", f"Object tags cannot be greater than {MOST_OF_AN_OBJECT}")
    return tags


for _reader in ("_tagging_from_headers", "_tagging_from_xml"):
    around(S3Response, _reader)(_read_few_tags)
