"""How a correction gets into moto: a method of one of its classes is replaced, and the original kept at hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.ec2.exceptions import EC2ClientError

Method = Callable[..., Any]


def around(owner: type, name: str) -> Callable[[Method], Method]:
    """Replace `owner.name` by a function that takes the original method first, then what the method takes."""
    original: Method = getattr(owner, name)

    def install(replacement: Method) -> Method:
        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            return replacement(original, self, *args, **kwargs)

        method.__name__ = name
        setattr(owner, name, method)
        return replacement

    return install


def refuse(code: str, message: str) -> EC2ClientError:
    """The error that EC2 answers, to be raised."""
    return EC2ClientError(code, message)
