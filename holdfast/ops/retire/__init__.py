"""`holdfast retire`: the deliberate end of an environment, its data included.

`plan` is pure: recorded states to what will be done and what stays, in words.
`run` does it, and `holdfast.cli.retire` asks first.
"""
