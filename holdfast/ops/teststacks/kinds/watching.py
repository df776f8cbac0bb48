"""What looks at an environment: alarms, the topic that they write to, log groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from holdfast.ops.teststacks.kinds.kind import Client, Kind, Thing, pages, tags_of, unless_gone


def _alarms(client: Client) -> Iterator[Thing]:
    for alarm in pages(client, "describe_alarms", "MetricAlarms"):
        if tags := unless_gone(_alarm_tags, client, alarm["AlarmArn"]):
            yield Thing(alarm["AlarmName"], tags)


def _alarm_tags(client: Client, arn: str) -> Mapping[str, str]:
    return tags_of(client.list_tags_for_resource(ResourceARN=arn)["Tags"])


def _topics(client: Client) -> Iterator[Thing]:
    for topic in pages(client, "list_topics", "Topics"):
        if tags := unless_gone(_topic_tags, client, topic["TopicArn"]):
            yield Thing(topic["TopicArn"], tags)


def _topic_tags(client: Client, arn: str) -> Mapping[str, str]:
    return tags_of(client.list_tags_for_resource(ResourceArn=arn)["Tags"])


def _log_groups(client: Client) -> Iterator[Thing]:
    for group in pages(client, "describe_log_groups", "logGroups"):
        if tags := unless_gone(_log_group_tags, client, group["arn"].removesuffix(":*")):
            yield Thing(group["logGroupName"], tags)


def _log_group_tags(client: Client, arn: str) -> Mapping[str, str]:
    tags: Mapping[str, str] = client.list_tags_for_resource(resourceArn=arn)["tags"]
    return tags


ALARM = Kind("alarm", "cloudwatch", _alarms, lambda client, thing: client.delete_alarms(AlarmNames=[thing.id]))
TOPIC = Kind("topic", "sns", _topics, lambda client, thing: client.delete_topic(TopicArn=thing.id))
LOG_GROUP = Kind("log group", "logs", _log_groups, lambda client, thing: client.delete_log_group(logGroupName=thing.id))
