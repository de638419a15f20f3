"""timm's model names and weight tags, read from its source files: importing timm takes seconds, this a fraction.

A test compares the result with what timm itself says. Sources are read as text and never run.
"""

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

MODEL = re.compile(r"^@register_model\s*\n(?:@.*\n)*def (\w+)\(", re.MULTILINE)
TAGGED = re.compile(r"""["'](\w+)\.([\w-]+)\*?["']\s*:""")


@cache
def index() -> dict[str, tuple[str, ...]]:
    """Architecture -> its weight tags, the default first."""
    spec = find_spec("timm")  # finds the package without running it
    if spec is None or not spec.submodule_search_locations:
        return {}
    found: dict[str, list[str]] = {}
    sources = [path.read_text(encoding="utf-8") for path in sorted(_models_folder(spec).glob("*.py"))]
    for text in sources:
        for name in MODEL.findall(text):
            found[name] = []
    for text in sources:
        for name, tag in TAGGED.findall(text):
            if name in found and tag != "untrained":
                found[name].append(tag)
    return {name: tuple(tags) for name, tags in found.items()}


def _models_folder(spec: object) -> Path:
    locations = getattr(spec, "submodule_search_locations", None) or [""]
    return Path(locations[0]) / "models"
