"""What a reviewer must not miss. `RULES` has every rule, in the order in which reports tell them."""

from holdfast.ops.review.rules import cluster, contact, lasting, planning
from holdfast.ops.review.rules.rule import Hit, Rule, Severity

__all__ = ["RULES", "Hit", "Rule", "Severity"]

RULES: tuple[Rule, ...] = (
    lasting.data_destroyed,
    lasting.key_destroyed,
    lasting.identity_destroyed,
    lasting.secret_name_reserved,
    lasting.stateful_renamed,
    planning.environment_renamed,
    cluster.several_zones_at_once,
    cluster.quorum_lowered,
    cluster.major_downgrade,
    cluster.tls_switched,
    cluster.ungated_restart,
    contact.address_changed,
    contact.opened_to_the_world,
    contact.internet_gateway_in_use,
    contact.network_switched,
    lasting.protection_removed,
    lasting.databases_lowered,
    lasting.volume_shrunk,
    lasting.refused_by_terraform,
    lasting.votes_destroyed,
    cluster.quorum_raised,
    cluster.major_upgrade,
    cluster.version_unknown,
    cluster.packages_unpinned,
    cluster.certificate_demanded,
    contact.published,
    contact.opened,
    contact.closed,
    planning.elastic_ips_taken,
    planning.account_not_ready,
    planning.stale_inputs,
    planning.left_behind,
    planning.not_planned,
    cluster.unhealthy_now,
)
