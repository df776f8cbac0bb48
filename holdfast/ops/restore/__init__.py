"""Restores: the data of a backup, or that of before the last restore, takes the place of what an environment has.

`plan` says what would be done, and refuses what cannot be; `copies` is what nodes read of the backup; `run` does it,
with orders to the nodes and a new generation in the environment's bucket: see node/holdfast_node/generation.py.
"""
