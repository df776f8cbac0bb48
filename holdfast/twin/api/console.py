"""What a machine wrote on its console: EC2 keeps the end of it, of a machine that is off too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.ec2.responses.general import General
from moto.ec2.utils import Base64EncodedString

from holdfast.twin.api.patching import Method, around, refuse

KEPT = 64 * 1024
"""Bytes."""

Read = Callable[[str], str]
"""Instance id → all that its machine wrote."""

reads: list[Read] = []
"""The one of this process's cloud, or none."""


@around(General, "get_console_output")
def _output(original: Method, self: Any) -> ActionResult:
    self.error_on_dryrun()
    instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
    nitro = INSTANCE_TYPES.get(instance.instance_type, {}).get("Hypervisor") == "nitro"
    if self._get_bool_param("Latest", False) and not nitro:
        raise refuse(
            "UnsupportedOperation",
            "This instance type does not support retrieving the latest console logs. "
            "Supported instance types must run on the AWS Nitro System.",
        )
    written = "".join(read(instance.id) for read in reads)[-KEPT:]
    answer = {"InstanceId": instance.id, "Timestamp": utcnow()}
    if written:
        answer["Output"] = Base64EncodedString.from_raw_string(written)
    return ActionResult(answer)
