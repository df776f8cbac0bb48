"""The `holdfast` command, the only door for a person or a script: one module for each group of commands.

A command reads its arguments, calls one room, and prints the answer. Nothing below imports this package.
A command imports its room when it runs, so that `--help`, completion and a wrong argument are answered at once.
"""

from holdfast.cli.app import main

__all__ = ["main"]
