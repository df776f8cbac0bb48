"""Pure: templates and a node of the model → the texts that a machine gets, and the node program that it fetches."""

from holdfast.rendering.bake import bake_user_data
from holdfast.rendering.clients import CLIENTS, snippets
from holdfast.rendering.files import render_files
from holdfast.rendering.program import Program, program
from holdfast.rendering.user_data import check_user_data, user_data, user_data_base64

__all__ = [
    "CLIENTS",
    "Program",
    "bake_user_data",
    "check_user_data",
    "program",
    "render_files",
    "snippets",
    "user_data",
    "user_data_base64",
]
