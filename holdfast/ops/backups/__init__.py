"""Backups as operators have them: listed, ordered, checked, downloaded.

Nodes make them: see node/holdfast_node/backup.py.

`manifest` is what a node wrote of one, `store` the bucket, `take` the order to a node.
"""
