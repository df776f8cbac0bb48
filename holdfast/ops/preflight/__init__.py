"""`holdfast preflight`: whether an account is ready for an environment, before anything is made.

Each module asks about one thing and answers with `check.Check`s: right, or what to do. Nothing is written.
"""
