"""Of CloudWatch, its logs, and SNS: alarms, log groups and topics, by their names and tags."""

from __future__ import annotations

import json
from collections.abc import Iterator

from holdfast.twin.api.needs.account import Account, Unknown, listed, numbered, request_tags, resource_tags
from holdfast.twin.api.policies import Need
from holdfast.twin.api.serving import Request


def alarm_needs(account: Account, request: Request) -> Iterator[Need | Unknown]:
    action = request.call.action
    if "HTTP_X_AMZ_TARGET" in request.environ:
        body = json.loads(request.body or b"{}")
        named = body.get("ResourceARN")
        alarms = [*body.get("AlarmNames", ()), *([body["AlarmName"]] if "AlarmName" in body else [])]
        tags = request_tags(listed(body.get("Tags", ())))
    else:
        named = request.parameters.get("ResourceARN")
        alarms = [it for name, it in request.parameters.items() if name.startswith("AlarmName")]
        tags = request_tags(numbered(request.parameters, "Tags."))
    if action == "DescribeAlarms":
        yield Need("cloudwatch:DescribeAlarms", "*")
    elif named:
        yield Need(f"cloudwatch:{action}", named, tags)
    elif alarms:
        for alarm in alarms:
            arn = account.arn("cloudwatch", f"alarm:{alarm}")
            there = resource_tags(account.here("cloudwatch").list_tags_for_resource(arn))
            yield Need(f"cloudwatch:{action}", arn, {**there, **tags})
            if tags:
                yield Need("cloudwatch:TagResource", arn, tags)
    else:
        yield Unknown(f"cloudwatch:{action}")


def log_needs(account: Account, request: Request) -> Iterator[Need | Unknown]:
    action, body = request.call.action, json.loads(request.body or b"{}")
    if action == "DescribeLogGroups":
        yield Need("logs:DescribeLogGroups", account.arn("logs", "log-group:*"))
    elif "logGroupName" in body:
        arn, tags = account.arn("logs", f"log-group:{body['logGroupName']}"), request_tags(body.get("tags", {}))
        there = resource_tags(account.here("logs").list_tags_for_resource(arn))
        yield Need(f"logs:{action}", arn, {**there, **tags})
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
        topic = account.here("sns").topics.get(arn)
        yield Need(f"sns:{action}", arn, {**resource_tags(topic._tags if topic else {}), **tags})
    elif name := parameters.get("Name"):
        yield Need(f"sns:{action}", account.arn("sns", name), tags)
        if tags:
            yield Need("sns:TagResource", account.arn("sns", name), tags)
    else:
        yield Unknown(f"sns:{action}")
