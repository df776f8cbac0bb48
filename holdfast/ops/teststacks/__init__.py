"""Test stacks: environments that go away. They are made here, told apart from all others, and removed.

What may be touched is decided in `judge`, from tags alone, and nothing is removed that it has not let through. `kinds/`
has a thin edge to the cloud for each kind of resource, in the order in which they go.
"""

TERRAFORM_TIMEOUT = 600
"""Seconds for Terraform to destroy one stack."""
