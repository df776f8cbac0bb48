"""`holdfast secrets`: the passwords of Redis' users, made where there are none, and changed under running clients.

`store` knows Secrets Manager, `rotation` the order in which a password changes; `commands` is the command line.
"""
