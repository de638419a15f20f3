"""`transferability` -> the datasets, backbones and strategies it stands for; `planning/study.py` keeps its cells."""

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from bench.suite.positions import Node, Place, Problem
from bench.suite.study_schema import TransferabilitySpec

KEY = "transferability"
MADE = ("datasets", "backbones", "strategies")
OPTIONS: dict[str, dict[str, Any]] = {"frozen": {}, "tuned": {"tune": True}, "random": {"source": "random"}}
# What stands where the section is wrong: the schema says so, and nothing else is missing then.
NOTHING = {"datasets": [{"name": "near"}], "backbones": [{"name": "small_resnet"}], "strategies": [{"name": "scratch"}]}


def spelled_out(suite: Node) -> tuple[Node, list[Problem]]:
    """And what is wrong beside what the schema will say."""
    study = suite.child(KEY)
    if study is None or not isinstance(study.value, dict):
        return suite, []
    problems = [
        Problem(suite.keys[key], (key,), f"a suite with `{KEY}` gets its {', '.join(MADE[:2])} and {MADE[2]} from it")
        for key in MADE
        if key in suite.value
    ]
    try:
        made = _made(TransferabilitySpec.model_validate(study.plain()), study)
    except ValidationError:
        made = NOTHING
    nodes = {key: _node(value, study.place) for key, value in made.items()}
    keys = {**suite.keys, **dict.fromkeys(MADE, study.place)}
    return Node({**suite.value, **nodes}, suite.place, keys), problems


def stands_for(spec: TransferabilitySpec) -> dict[str, Any]:
    """Datasets, backbones and strategies, in their full form."""
    place = Place(KEY)
    found, _ = spelled_out(_node({KEY: spec.model_dump(mode="json", exclude_defaults=True)}, place))
    plain: dict[str, Any] = found.plain()
    return {key: plain[key] for key in MADE}


def _node(value: Any, place: Place) -> Node:
    if isinstance(value, Node):
        return value
    if isinstance(value, dict):
        return Node({key: _node(one, place) for key, one in value.items()}, place, dict.fromkeys(value, place))
    return Node([_node(one, place) for one in value] if isinstance(value, list | tuple) else value, place)


def _made(spec: TransferabilitySpec, study: Node) -> dict[str, list[Any]]:
    of = {"options": study.value["options"]} if "options" in study.value else {}
    parts = [part for pair in _pairs(spec) for part in pair]
    targets = [pair[number] for pair in _pairs(spec) for number in _targets(spec)]
    budget = {"labels_per_class": [spec.labels_per_class]}
    wanted = [part for part in parts if part in targets or _has_other(spec)]
    backbone = study.value["backbone"]
    return {
        "datasets": [{"name": spec.dataset, **of, "classes": part, **budget} for part in targets],
        "backbones": [_taught(backbone, {"dataset": spec.dataset, **of, "classes": part}) for part in wanted],
        "strategies": list(_strategies(spec)),
    }


def _pairs(spec: TransferabilitySpec) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for split in spec.splits:
        yield {"half": "A", "split": split}, {"half": "B", "split": split}
    if spec.groups:
        yield {"group": spec.groups[0]}, {"group": spec.groups[1]}


def _targets(spec: TransferabilitySpec) -> tuple[int, ...]:
    return {"both": (0, 1), "A_to_B": (1,), "B_to_A": (0,)}[spec.directions]


def _has_other(spec: TransferabilitySpec) -> bool:
    return any(one.startswith("AnB") for one in spec.treatments)


def _taught(backbone: Node, source: dict[str, Any]) -> Node:
    """The controls learn the target's own training examples beforehand, knowingly."""
    given = backbone.value if isinstance(backbone.value, dict) else {}
    pretrain = given.get("pretrain")
    asked = pretrain.value if pretrain is not None and isinstance(pretrain.value, dict) else {}
    own = _node({"allow_overlap": True, **asked, **source}, backbone.place)
    return Node({**given, "pretrain": own}, backbone.place, {**backbone.keys, "pretrain": backbone.place})


def _strategies(spec: TransferabilitySpec) -> Iterator[dict[str, Any]]:
    yield {"name": "scratch"}
    depths = ["all"] if spec.keep == "all" else list(spec.keep)
    wanted = [one if one == "random" else "tuned" if one.endswith("+") else "frozen" for one in spec.treatments]
    for way in dict.fromkeys(wanted):
        for keep in depths:
            yield {"name": "transplant", "options": {"keep": keep, **OPTIONS[way]}}
