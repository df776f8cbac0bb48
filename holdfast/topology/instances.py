"""What EC2 says of an instance type: memory, vCPUs, addresses per interface, architecture.

Facts of a type come from EC2 itself (`holdfast images update`, see `pinned_types.py`). Those that nobody has asked for
are in `instances.txt`, which has the general, compute, memory and storage families that run on Nitro.

Source: EC2 API reference, DescribeInstanceTypes
(https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceTypes.html), whose answers moto keeps:
`scripts/instance_types.py` cuts them down to the table. The families are those of
https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-types.html.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

TABLE = Path(__file__).with_name("instances.txt")
"""A line for each family: its name, architecture, `burstable` or `steady`, and its sizes, each as
`name:vCPUs:MiB:addresses`. All are EBS-optimised."""

Architecture = Literal["amd64", "arm64"]
ARCHITECTURES: Mapping[str, Architecture] = {"x86_64": "amd64", "arm64": "arm64"}
"""EC2's name → Debian's."""

Count = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, kw_only=True)
class InstanceType:
    """What a type of machine is."""

    memory: Count
    """MiB."""
    vcpus: Count
    addresses: Count
    """Private IPv4 addresses that its first interface can hold."""
    arch: Architecture
    ebs_optimized: bool
    """Whether it has, or can be given, network bandwidth for its volumes alone."""
    burstable: bool
    """Whether it has a share of its vCPUs, and credits for more."""

    @property
    def says(self) -> str:
        """In words, as `2 vCPUs, 2048 MiB, 4 addresses, amd64, burstable, EBS-optimised`."""
        cores = f"{self.vcpus} vCPU{'s' if self.vcpus > 1 else ''}"
        kind = ("burstable, " if self.burstable else "") + (
            "EBS-optimised" if self.ebs_optimized else "not EBS-optimised"
        )
        return f"{cores}, {self.memory} MiB, {self.addresses} addresses, {self.arch}, {kind}"


def described(answer: Mapping[str, Any]) -> InstanceType:
    """The facts in an entry of EC2's answer to DescribeInstanceTypes.

    Raises:
        ValueError: no distribution's image runs there.
    """
    supported = answer["ProcessorInfo"]["SupportedArchitectures"]
    arch = next((ARCHITECTURES[name] for name in supported if name in ARCHITECTURES), None)
    if arch is None:
        raise ValueError(f"it is of {', '.join(supported)}; accepted: a type of {' or '.join(ARCHITECTURES)}")
    return InstanceType(
        memory=answer["MemoryInfo"]["SizeInMiB"],
        vcpus=answer["VCpuInfo"]["DefaultVCpus"],
        addresses=answer["NetworkInfo"]["Ipv4AddressesPerInterface"],
        arch=arch,
        ebs_optimized=answer["EbsInfo"]["EbsOptimizedSupport"] != "unsupported",
        burstable=answer["BurstablePerformanceSupported"],
    )


def _table(lines: Iterable[str]) -> Iterator[tuple[str, InstanceType]]:
    for line in lines:
        family, arch, kind, *sizes = line.split()
        for size in sizes:
            name, *numbers = size.split(":")
            vcpus, memory, addresses = map(int, numbers)
            yield (
                f"{family}.{name}",
                InstanceType(
                    memory=memory,
                    vcpus=vcpus,
                    addresses=addresses,
                    arch="arm64" if arch == "arm64" else "amd64",
                    ebs_optimized=True,
                    burstable=kind == "burstable",
                ),
            )


BUILT_IN: Mapping[str, InstanceType] = dict(_table(TABLE.read_text(encoding="utf-8").splitlines()))
"""Type → its facts, where nobody has asked EC2 for them."""
