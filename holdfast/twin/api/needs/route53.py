"""Of Route 53, whose zones IAM tells apart by their ids alone, and records by their names."""

from __future__ import annotations

import re
from collections.abc import Iterator

from holdfast.twin.api.needs.account import Account, Unknown
from holdfast.twin.api.policies import Need
from holdfast.twin.api.serving import Request

ACTIONS = (
    ("GET", "hostedzone", "ListHostedZones"),
    ("POST", "hostedzone", "CreateHostedZone"),
    ("GET", "hostedzonesbyname", "ListHostedZonesByName"),
    ("GET", "hostedzone/[^/]+", "GetHostedZone"),
    ("POST", "hostedzone/[^/]+", "UpdateHostedZoneComment"),
    ("DELETE", "hostedzone/[^/]+", "DeleteHostedZone"),
    ("GET", "hostedzone/[^/]+/rrset", "ListResourceRecordSets"),
    ("POST", "hostedzone/[^/]+/rrset", "ChangeResourceRecordSets"),
    ("GET", "hostedzone/[^/]+/dnssec", "GetDNSSEC"),
    ("GET", "change/[^/]+", "GetChange"),
    ("GET", "tags/hostedzone/[^/]+", "ListTagsForResource"),
    ("POST", "tags/hostedzone/[^/]+", "ChangeTagsForResource"),
)
"""Method and path behind the version → action."""

CHANGED = "route53:ChangeResourceRecordSetsNormalizedRecordNames"

ANYWHERE = ("ListHostedZones", "ListHostedZonesByName", "CreateHostedZone")


def needs(account: Account, request: Request) -> Iterator[Need | Unknown]:
    method, _, path = request.call.action.partition(" ")
    behind = re.sub(r"^/[0-9-]+/", "", path).rstrip("/")
    action = next((name for verb, form, name in ACTIONS if verb == method and re.fullmatch(form, behind)), None)
    if action is None:
        yield Unknown(f"route53: {method} {path}")
        return
    arn = "*" if action in ANYWHERE else f"arn:aws:route53:::{behind.removeprefix('tags/').removesuffix('/rrset')}"
    if action == "ChangeResourceRecordSets":
        for name in re.findall(r"<Name>(.*?)</Name>", request.body.decode()):
            yield Need(f"route53:{action}", arn, {CHANGED: name.rstrip(".").lower()})
        return
    yield Need(f"route53:{action}", arn)
    if action == "CreateHostedZone" and b"<VPCId>" in request.body:
        # Amazon Route 53 developer guide, "Amazon Route 53 API permissions": a private zone is joined to a network.
        yield Need("ec2:DescribeVpcs", "*")
        yield Need("route53:AssociateVPCWithHostedZone", "arn:aws:route53:::hostedzone/*")
