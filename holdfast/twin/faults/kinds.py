"""Every kind of fault, by its name."""

from holdfast.twin.faults import inside, network, power, processes
from holdfast.twin.faults.kind import Kind

KINDS: dict[str, Kind] = processes.KINDS | power.KINDS | network.KINDS | inside.KINDS
