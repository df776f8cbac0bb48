"""CDKTF: an environment as a chain of Terraform stacks, one for each failure domain."""
