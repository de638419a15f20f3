"""`bench schema`: what a suite file may hold, for editors as JSON Schema, for people as Markdown."""

from bench.commands.output import as_json, write
from bench.suite.describe import json_schema, reference_markdown


def show_schema(markdown: bool) -> int:
    if markdown:
        write(reference_markdown())
    else:
        as_json(json_schema())
    return 0
