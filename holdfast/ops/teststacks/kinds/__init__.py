"""Every kind of resource that a test stack, or a person who breaks one, makes: in the order in which they go."""

from holdfast.ops.teststacks.kinds.access import PROFILE, ROLE
from holdfast.ops.teststacks.kinds.groups import GROUP
from holdfast.ops.teststacks.kinds.kind import Kind
from holdfast.ops.teststacks.kinds.machines import INSTANCE, PLACEMENT_GROUP, SNAPSHOT, VOLUME
from holdfast.ops.teststacks.kinds.network import (
    ADDRESS,
    ENDPOINT,
    FLOW_LOG,
    INTERFACE,
    INTERNET_GATEWAY,
    NAT_GATEWAY,
    NETWORK,
    ROUTE_TABLE,
    SUBNET,
)
from holdfast.ops.teststacks.kinds.storage import BUCKET, KEY, PARAMETER, SECRET
from holdfast.ops.teststacks.kinds.watching import ALARM, LOG_GROUP, TOPIC
from holdfast.ops.teststacks.kinds.zones import ZONE

KINDS: tuple[Kind, ...] = (
    ALARM,
    FLOW_LOG,
    # Before what they hold: interfaces and volumes are free once a machine has terminated.
    INSTANCE,
    PLACEMENT_GROUP,
    ZONE,
    SNAPSHOT,
    VOLUME,
    ENDPOINT,
    NAT_GATEWAY,
    # Before addresses: with its interface gone, an address is free.
    INTERFACE,
    ADDRESS,
    INTERNET_GATEWAY,
    GROUP,
    ROUTE_TABLE,
    SUBNET,
    NETWORK,
    TOPIC,
    LOG_GROUP,
    PARAMETER,
    SECRET,
    BUCKET,
    PROFILE,
    ROLE,
    # Last: everything at rest is encrypted with it.
    KEY,
)
