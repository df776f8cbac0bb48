"""Images of a team's own that have a node's packages already.

`bake` makes one, in a `workshop` that it takes down again; `verdict` reads what the machine there says of itself.
`shelf` has those that were made: which there are, who uses them, and how one is removed. `tags` has what they say.
"""
