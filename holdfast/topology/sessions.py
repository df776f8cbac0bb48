"""How many sessions there may be: of a gateway, of one address there, and of a Redis."""

SESSIONS = 4000
"""Of one gateway with the leader, and with replicas, at most: who uses the floating pair has them all there."""

OF_ONE_ADDRESS = 2000
"""Of them, for one address of a client unless the file says otherwise: nobody alone shuts the others out."""

COUNTED_FOR, RECONNECTS = 10, 4
"""Seconds over which the connections of one address are counted, and how often all its sessions may connect in them:
after a failover all do once, and again where a login takes them too long. Not counted: while there is no leader."""

OTHERS = 1000
"""Of one Redis, beside the sessions of all gateways: Sentinels, node programs, replicas, and who comes directly."""

CROWDED = SESSIONS // 4
"""Of one Redis, above which who has not logged in is ended. A gateway without a place has as many at each of four
replicas, which is the most that any layout has."""

FIRST_WORD = 10
"""Seconds for a client's first bytes, its TLS handshake included; and between two looks at who has not logged in."""
