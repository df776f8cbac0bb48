"""Of CloudWatch, its logs, and SNS: alarms, log groups and topics, by their names."""

from __future__ import annotations

import json
from collections.abc import Iterator

from holdfast.twin.api.needs.account import Account, Unknown, numbered, request_tags
from holdfast.twin.api.policies import Need
from holdfast.twin.api.serving import Request


def alarm_needs(account: Account, request: Request) -> Iterator[Need | Unknown]:
    action, parameters = request.call.action, request.parameters
    tags = request_tags(numbered(parameters, "Tags."))
    if action == "DescribeAlarms":
        yield Need("cloudwatch:DescribeAlarms", "*")
    elif arn := parameters.get("ResourceARN"):
        yield Need(f"cloudwatch:{action}", arn, tags)
    elif alarms := [it for name, it in parameters.items() if name.startswith("AlarmName")]:
        for alarm in alarms:
            yield Need(f"cloudwatch:{action}", account.arn("cloudwatch", f"alarm:{alarm}"), tags)
            if tags:
                yield Need("cloudwatch:TagResource", account.arn("cloudwatch", f"alarm:{alarm}"), tags)
    else:
        yield Unknown(f"cloudwatch:{action}")


def log_needs(account: Account, request: Request) -> Iterator[Need | Unknown]:
    action, body = request.call.action, json.loads(request.body or b"{}")
    if action == "DescribeLogGroups":
        yield Need("logs:DescribeLogGroups", account.arn("logs", "log-group:*"))
    elif "logGroupName" in body:
        arn, tags = account.arn("logs", f"log-group:{body['logGroupName']}"), request_tags(body.get("tags", {}))
        yield Need(f"logs:{action}", arn, tags)
        if tags:
            yield Need("logs:TagResource", arn, tags)
    elif "resourceArn" in body:
        yield Need(f"logs:{action}", body["resourceArn"], request_tags(body.get("tags", {})))
    else:
        yield Unknown(f"logs:{action}")


def topic_needs(account: Account, request: Request) -> Iterator[Need | Unknown]:
    action, parameters = request.call.action, request.parameters
    tags = request_tags(numbered(parameters, "Tags.member."))
    if action == "ListTopics":
        yield Need("sns:ListTopics", "*")
    elif arn := parameters.get("TopicArn", parameters.get("ResourceArn")):
        yield Need(f"sns:{action}", arn, tags)
    elif name := parameters.get("Name"):
        yield Need(f"sns:{action}", account.arn("sns", name), tags)
        if tags:
            yield Need("sns:TagResource", account.arn("sns", name), tags)
    else:
        yield Unknown(f"sns:{action}")
