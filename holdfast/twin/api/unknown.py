"""Calls that moto does not know are refused at once: Terraform retries a server's error for minutes."""

from __future__ import annotations

from typing import Any

from moto.core.errors import COMMON_ERROR_CODES
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse

from holdfast.twin.api.patching import Method, around


class UnknownAction(ServiceException):
    """In a class of its own, as moto looks for the service of an exception in the module that has its class."""

    code = "InvalidAction"


# Every service has it, and no service's model names it.
COMMON_ERROR_CODES.append(UnknownAction.code)


@around(BaseResponse, "call_action")
def _call(original: Method, self: Any) -> Any:
    try:
        return original(self)
    except NotImplementedError as error:
        refusal = UnknownAction(f"The twin's {self.service_name} does not do this: {error}")
        return self.serialized(ActionResult(refusal))
