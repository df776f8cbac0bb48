"""Policies of IAM for people and pipelines, made from what the stacks contain.

`resources` has what the AWS provider calls for each type of resource; `limits` how far IAM can narrow each action to
one environment; `roles` puts these together, with what `holdfast` itself calls; `size` cuts them to what IAM takes.
"""
