"""What people see of a status: one table, worst news first above it."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from holdfast.ops.status import NodeStatus, Status


def status_view(status: Status) -> RenderableType:
    """One verdict line, a table of the nodes by zone, and what each says."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("zone", "node", "role", "address", "lag", "Redis", "instance"):
        table.add_column(heading, no_wrap=True)
    for node in sorted(status.nodes, key=lambda node: (node.zone, node.name)):
        table.add_row(
            node.zone,
            Text(node.name, style="bold" if node.name == status.leader else ""),
            Text(node.role, style=_style(node)),
            node.address,
            "–" if node.lag_bytes is None else f"{node.lag_bytes:,} B",
            node.version or "–",
            node.instance_id or "–",
        )
    says = Text("\n".join(f"{node.name}: {node.says}" for node in status.nodes))
    return Group(_verdict(status), Text(), table, Text(), says, Text(), _endpoints(status))


def _verdict(status: Status) -> Text:
    sentinels = f"{status.sentinels.agreeing} of {status.sentinels.total} Sentinels agree"
    if status.healthy:
        return Text.assemble(
            (f"{status.environment} is healthy", "bold green"), f": {status.leader} leads, {sentinels}"
        )
    sick = ", ".join(node.name for node in status.nodes if not node.healthy) or "none of the nodes"
    leads = f"{status.leader} leads" if status.leader else "nobody leads"
    return Text.assemble(
        (f"{status.environment} is not healthy", "bold red"), f": {leads}, not well: {sick}, {sentinels}"
    )


def _style(node: NodeStatus) -> str:
    return "green" if node.healthy else "red"


def _endpoints(status: Status) -> Text:
    lines = [f"{kind} endpoints: {', '.join(addresses)}" for kind, addresses in status.endpoints.items()]
    return Text("\n".join(lines), style="dim")
