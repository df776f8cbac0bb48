"""Of Systems Manager: parameters, by their names and tags."""

from __future__ import annotations

import json
from collections.abc import Iterator

from holdfast.twin.api.needs.account import Account, Unknown, resource_tags
from holdfast.twin.api.policies import Need
from holdfast.twin.api.serving import Request


def needs(account: Account, request: Request) -> Iterator[Need | Unknown]:
    action, body = request.call.action, json.loads(request.body or b"{}")
    if action == "DescribeParameters":
        yield Need("ssm:DescribeParameters", "*")
    elif name := body.get("Name", body.get("ResourceId")):
        ssm = account.here("ssm")
        tags = ssm.list_tags_for_resource("Parameter", name) if ssm.get_parameter(name) else {}
        yield Need(f"ssm:{action}", account.arn("ssm", f"parameter/{name.lstrip('/')}"), resource_tags(tags))
    else:
        yield Unknown(f"ssm:{action}")
