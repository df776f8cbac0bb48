"""Write outages when the leader is lost or hands over: ours beside settings that others ship (`bench.peers`).

`python -m bench.failover`, with the cluster up. Each run is kept in docs/failover.json as soon as it is over; the page
and its picture are made of what is kept, after every run and by `python -m bench.failover.page`.
"""
