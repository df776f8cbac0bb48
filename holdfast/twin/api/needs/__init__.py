"""Which permissions a call takes: a module for each service that deployers and machines call.

Written from AWS' Service Authorization Reference, and from what the services' own documents add. It knows nothing of
the policies that Holdfast makes (`holdfast/ops/policies`), which are tried against it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from holdfast.twin.api.needs import ec2, iam, kms, route53, s3, secretsmanager, ssm, watching
from holdfast.twin.api.needs.account import Account, Unknown
from holdfast.twin.api.policies import Need
from holdfast.twin.api.serving import Request

__all__ = ["Account", "Unknown", "needs"]

FORMS = ("ec2", "iam", "sns", "sts")
"""Services that take one."""

EITHER = ("monitoring",)
"""Services that take a form, from Terraform's provider, or JSON with the action in a header, from boto3."""

ADDRESSED = ("route53", "s3")
"""Services whose action is in the method, the path and the query."""

SERVICES: dict[str, Callable[[Account, Request], Iterator[Need | Unknown]]] = {
    "ec2": ec2.needs,
    "iam": iam.needs,
    "kms": kms.needs,
    "logs": watching.log_needs,
    "monitoring": watching.alarm_needs,
    "route53": route53.needs,
    "s3": s3.needs,
    "secretsmanager": secretsmanager.needs,
    "servicequotas": lambda account, request: iter([Need(f"servicequotas:{request.call.action}", "*")]),
    "sns": watching.topic_needs,
    "ssm": ssm.needs,
}
"""By the name under which a call is signed."""


def needs(account: Account, request: Request) -> Iterator[Need | Unknown]:
    """All that `request` takes; `Unknown` where nobody has written it down."""
    call = request.call
    if call.service == "sts" and call.action == "GetCallerIdentity" and not _says_two(request):
        return
    if call.service not in SERVICES or _says_two(request):
        yield Unknown(f"{call.service}:{call.action}")
        return
    yield from SERVICES[call.service](account, request)


def _says_two(request: Request) -> bool:
    """Whether moto may take another action from the request than the one that is looked at: it looks in the address, in
    a form and in a header."""
    environ = request.environ
    form = environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded")
    if request.call.service in ADDRESSED:
        return form or "HTTP_X_AMZ_TARGET" in environ
    named = "HTTP_X_AMZ_TARGET" in environ
    if request.call.service in EITHER:
        return bool(environ["QUERY_STRING"]) or form == named
    return bool(environ["QUERY_STRING"]) or (form and named) or form != (request.call.service in FORMS)
