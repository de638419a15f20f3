"""torchvision's model names and weight tags, read from its source files as in `timm_names.py`: `torchvision:resnet50`,
`torchvision:resnet50.IMAGENET1K_V2`."""

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

PREFIX = "torchvision:"
MODEL = re.compile(r"^@register_model\(\)\n(?:@[^\n]*\n(?:[ )][^\n]*\n)*)?def (\w+)\(([^>]*)->", re.MULTILINE)
ANNOTATED = re.compile(r"weights: Optional\[(\w+)\]")
ENUM = re.compile(r"^class (\w+)\(WeightsEnum\):\n((?:    .*\n|\n)+)", re.MULTILINE)
TAG = re.compile(r"^    (\w+) = Weights\(", re.MULTILINE)
DEFAULT = re.compile(r"^    DEFAULT = (\w+)", re.MULTILINE)


@cache
def index() -> dict[str, tuple[str, ...]]:
    """Architecture -> its weight tags, the default first."""
    spec = find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        return {}
    found: dict[str, tuple[str, ...]] = {}
    for path in sorted((Path(spec.submodule_search_locations[0]) / "models").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        tags = {name: _tags(body) for name, body in ENUM.findall(text)}
        for name, arguments in MODEL.findall(text):
            enum = ANNOTATED.search(arguments)
            found[name] = tags.get(enum.group(1), ()) if enum is not None else ()
    return found


def tags_of(name: str) -> tuple[str, ...]:
    return index().get(name.removeprefix(PREFIX).partition(".")[0], ())


def _tags(body: str) -> tuple[str, ...]:
    tags = TAG.findall(body)
    default = DEFAULT.search(body)
    return tuple(sorted(tags, key=lambda tag: default is None or tag != default.group(1)))
