"""The ports of a Holdfast node, named once: templates, security groups and commands all take them from here."""

REDIS = 6380
"""Redis itself, on a node's primary address. Not 6379: security groups tell ports apart but not the addresses of one
interface, and clients may reach HAProxy's endpoints without reaching Redis past them."""

ENDPOINT = 6379
"""HAProxy on the leader and the replica endpoint: the ordinary Redis port, so that clients need no special setting."""

TLS_ENDPOINT = 6390
"""The same with TLS. Another port, so that clients can move to it before the other one is closed."""

SENTINEL = 26379
STATS = 8404
"""HAProxy's statistics page, on a node's primary address."""

LEASE = 7379
"""The node program's lease service, on 127.0.0.1 only: HAProxy asks it whether a majority names a leader."""
