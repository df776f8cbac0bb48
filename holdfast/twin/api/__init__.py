"""The cloud's API on this machine: moto, corrected to refuse and to report what AWS refuses and reports."""

from holdfast.twin.api import corrections
from holdfast.twin.api.api import Api

__all__ = ["Api", "corrections"]
