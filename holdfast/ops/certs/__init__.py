"""Certificates: an authority of the environment's own, and what it signs for nodes and clients."""
