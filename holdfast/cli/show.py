"""What people see of a status (one table, worst news first above it) and of the endpoints."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from holdfast.ops.endpoints import Endpoints
from holdfast.ops.status import NodeStatus, Status

WIDTH = 120
"""Columns that a status may need. A narrower terminal wraps it: an instance id that is cut is worth nothing."""


def status_view(status: Status) -> RenderableType:
    """One verdict line, a table of the nodes by zone, and what each says."""
    # Where every machine runs the same, there is nothing to say about it.
    differ = len({node.roles for node in status.nodes}) > 1
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("zone", "node", "role", *(["runs"] * differ), "address", "lag", "Redis", "instance"):
        table.add_column(heading, no_wrap=True)
    for node in sorted(status.nodes, key=lambda node: (node.zone, node.name)):
        table.add_row(
            node.zone,
            Text(node.name, style="bold" if node.name == status.leader else ""),
            Text(node.role, style=_style(node)),
            *([", ".join(node.roles)] * differ),
            node.address,
            "–" if node.lag_bytes is None else f"{node.lag_bytes:,} B",
            node.version or "–",
            node.instance_id or "–",
        )
    says = Text(
        "\n".join(
            sentence
            for node in status.nodes
            for sentence in (f"{node.name}: {node.says}", *node.notices(status.environment))
        )
    )
    for sentence in status.forged:
        says.append(f"\n{sentence}")
    for sentence in status.refused:
        says.append(f"\n{sentence}")
    if status.goes_on:
        says.append(f"\n{status.goes_on}")
    if status.backup:
        does = f"; {status.backup.node}: {status.backup.does}" if status.backup.node else ""
        says.append(f"\nbackups: {status.backup.says}{does}", style="bold red" if status.backup.late else "")
    if status.restore and status.restore.under_way:
        says.append(f"\na restore is under way: {'; '.join(status.restore.under_way)}")
    if status.restore and status.restore.undo_until:
        undo = f"holdfast restore {status.environment} --undo"
        says.append(f"\nthe last restore can be undone until {status.restore.undo_until}: {undo}")
    for sentence in status.redirected:
        says.append(f"\n{sentence}", style="bold red")
    return Group(verdict(status), Text(), table, Text(), says, Text(), _endpoints(status))


def verdict(status: Status) -> Text:
    """Whether it is healthy, who leads, and what is not well: one line."""
    sentinels = f"{status.sentinels.agreeing} of {status.sentinels.total} Sentinels agree"
    if status.healthy:
        return Text.assemble(
            (f"{status.environment} is healthy", "bold green"), f": {status.leader} leads, {sentinels}"
        )
    ill = [node.name for node in status.nodes if not node.healthy or node.name in status.ended]
    sick = ", ".join(ill) or "none of the nodes"
    if status.floating and status.floating.gateway is None:
        sick += ", the floating pair"
    if status.forged:
        sick += ", what Sentinels believe"
    if status.redirected:
        sick += ", the routes"
    if status.backup and status.backup.late:
        sick += ", the backups"
    leads = f"{status.leader} leads" if status.leader else "nobody leads"
    return Text.assemble(
        (f"{status.environment} is not healthy", "bold red"), f": {leads}, not well: {sick}, {sentinels}"
    )


def _style(node: NodeStatus) -> str:
    return "green" if node.healthy else "red"


def _endpoints(status: Status) -> Text:
    lines = [f"{kind} endpoints: {', '.join(addresses)}" for kind, addresses in status.endpoints.items()]
    if status.floating:
        pair = f"{status.floating.leader} (leader) and {status.floating.replica} (replica)"
        lines.append(f"floating pair: {pair}, held by {status.floating.gateway or 'nobody'}")
    ends = sorted(node.certificate.ends for node in status.nodes if node.certificate)
    if ends:
        lines.append(f"certificates: the first one ends at {ends[0]}")
    return Text("\n".join(lines), style="dim")


def endpoints_text(found: Endpoints) -> str:
    """A line for each thing that a client may be given."""
    lines = []
    for kind, endpoint in (("leader", found.leader), ("replica", found.replica)):
        addresses = ", ".join(f"{address}:{endpoint.port}" for address in endpoint.addresses)
        forward = f", from this machine {endpoint.forward}" if endpoint.forward else ""
        lines += [f"{kind:10}{addresses}{forward}", f"{'':10}{endpoint.url}"]
        if found.public_to:
            addresses = ", ".join(f"{address}:{endpoint.port}" for address in endpoint.public_addresses)
            lines.append(f"{'':10}from the internet {addresses or 'at addresses that come with the deploy'}")
    if found.floating:
        pair = found.floating
        named = f", {pair.leader_name} and {pair.replica_name}" if pair.leader_name else ""
        lines += [
            f"floating  {pair.leader}:{pair.port} (leader), {pair.replica}:{pair.port} (replica){named}",
            f"{'':10}one pair, which moves to a gateway that lives; for clients inside the network",
        ]
    sentinels = found.sentinels
    addresses = ", ".join(f"{address}:{sentinels.port}" for address in sentinels.addresses)
    service = f"; SRV {sentinels.service}" if sentinels.service else ""
    who = ", ".join(sentinels.open_to) or "nobody (network.sentinel_clients is empty)"
    lines += [f"sentinels {addresses}{service}", f"{'':10}they call the leader {sentinels.master_name}; open to {who}"]
    if found.public_to:
        lines.append(f"internet  open to {', '.join(found.public_to)}")
    if found.tls:
        whom = "the authority and a client's certificate" if found.tls.mutual else "the authority's certificate"
        plain = f"; plaintext at port {found.tls.plaintext_port}" if found.tls.plaintext_port else ""
        lines.append(f"TLS       with {whom}: holdfast certs export {found.environment} FOLDER{plain}")
    if found.credentials:
        lines += [f"user      {found.credentials.user}", f"password  {found.credentials.password}"]
    return "\n".join(lines)
