"""What is compared, in the order of every table."""

from bench import peers

OURS = "holdfast"

TITLES = {OURS: "Holdfast"} | {peer.name: peer.title for peer in peers.PEERS}
"""Name of the settings → what people call them."""
