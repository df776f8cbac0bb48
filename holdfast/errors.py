"""The one error that a person sees: its message is the whole explanation, printed without a traceback."""


class HoldfastError(Exception):
    """Something a person can act on. The message names what was found, what would be accepted, and what to do."""

    exit_code = 1
