"""Prints the table of instance types that are built in, from EC2's own description as the twin's API has it.

Run after moto was updated: .venv/bin/python scripts/instance_types.py > holdfast/topology/instances.txt
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from holdfast.topology.instances import described
from holdfast.twin.api.instances import INSTANCE_TYPES

FAMILIES = re.compile(r"(m|t|c|r|x|z|u|d|h|i|im|is)[0-9][a-z0-9-]*")
"""General (m, t), compute (c), memory (r, x, z, u) and storage (d, h, i, im, is)."""


def lines() -> Iterator[str]:
    """One for each family, its sizes from small to large."""
    families: dict[str, list[str]] = {}
    for name, answer in INSTANCE_TYPES.items():
        family = name.partition(".")[0]
        if answer.get("Hypervisor", "nitro") == "nitro" and FAMILIES.fullmatch(family):
            families.setdefault(family, []).append(name)
    for family, names in sorted(families.items()):
        facts = {name: described(INSTANCE_TYPES[name]) for name in names}
        # A property of the family, as the table has it.
        [(arch, burstable, ebs_optimized)] = {(it.arch, it.burstable, it.ebs_optimized) for it in facts.values()}
        assert ebs_optimized
        ordered = sorted(facts.items(), key=lambda item: (item[1].memory, item[1].vcpus, item[0]))
        sizes = [f"{name.partition('.')[2]}:{it.vcpus}:{it.memory}:{it.addresses}" for name, it in ordered]
        yield " ".join([family, arch, "burstable" if burstable else "steady", *sizes])


if __name__ == "__main__":
    print("\n".join(lines()))
