"""The suite's schema for editors and for readers. Run as a module, it prints `suites/README.md`."""

import sys
from collections.abc import Collection, Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from bench.suite import schema, study
from bench.suite.known_claims import KNOWN
from bench.suite.measured_claims import MEASURED
from bench.suite.positions import MAX_NODES
from bench.suite.references_schema import PartSpec, ProtocolSpec, ReferencesSpec, RowSpec, TableSpec
from bench.suite.search_schema import Range
from bench.suite.words import annotations, branches, choices, expected, is_section, item

Json = dict[str, Any]

_INTRO = f"""\
# Suites

A suite is one YAML file: which datasets, backbones and strategies to compare, and how.

```yaml
name: low_data
datasets:
  - {{name: digits, labels_per_class: [5, 20]}}
backbones: [resnet18.a1_in1k]
strategies: [scratch, linear_probe, full_finetune, {{freeze: {{upto: all}}}}]
search: {{trials: 12}}
```

`python -m bench plan SUITE` says what a suite would train before anything starts; `python -m bench schema` prints
its JSON Schema for editors. This page is generated: `python -m bench.suite.describe > suites/README.md`.

## How a suite is read

- YAML 1.2: `1e-3` is a number, `no` is text, a date is text. Tags are refused, a key that stands twice is an error,
  and a file holds at most 1 MiB and {MAX_NODES:,} values, aliases expanded.
- Every problem of a file is reported at once, each with its line and column, and nothing is run.
- Keys are text, also where they look like numbers: `-1: 0.1` in `rates` means the unit `-1`.
- A key with nothing after it takes its default.
- A whole number stands for a number (`lr: 1` is 1.0), and a number without a fraction for a whole one (`steps: 1e3`
  is 1000); `20.5` and `"20"` are refused. Inside `options`, values stay as written.
- No two entries may go by the same name in tables.
- `--set training.steps=50` replaces one value before the suite is checked; lists are counted from 0, as in
  `--set datasets[0].labels_per_class=[5]`. The value is YAML.

## Short forms

| short | stands for |
|---|---|
| a dataset `near` | `{{name: near}}` |
| a backbone `resnet18.a1_in1k` | `{{name: resnet18.a1_in1k}}` |
| a strategy `scratch` | `{{name: scratch}}` |
| a strategy `{{freeze: {{upto: all}}}}` | `{{name: freeze, options: {{upto: all}}}}` |
| an option `{{l2_sp: {{alpha: {{search: [0.001, 1]}}}}}}` | the search chooses `alpha` too, from that range |
| a strategy `{{lora: {{}}, stop_early: 10}}` | `{{name: lora, options: {{}}, stop_early: {{moments: 10}}}}` |
| a strategy `{{linear_probe: {{}}, head: small}}` | `{{name: linear_probe, head: {{start: small}}}}` |
| a head `small` | `{{start: small}}` |
| `stop_early: 10` | `stop_early: {{moments: 10}}` |
| a strategy `{{recipe: {{name: ..., phases: [...]}}}}` | `{{name: recipe, recipe: {{name: ..., phases: [...]}}}}` |
| a claim `transfer_beats_scratch` | `{{name: transfer_beats_scratch}}`, one of the known claims below |
| `classes: [cat, dog]` | `classes: {{names: [cat, dog]}}` |
| `labels_per_class: 5`, `fraction: 0.1`, `total: 100` | a list of one |
| a range `[0.001, 1]` | `{{low: 0.001, high: 1}}` |
"""

_MEASURED = """\
## The claims of five suites, as measured

Embedded data, two cores, 7 to 11 minutes each: `python -m bench run suites/claims_labels.yaml` and its siblings make
them anew. Points, with intervals of each claim's own step in Holm's correction over its suite. Nothing here speaks of
other data sets, networks or budgets.

| suite | claim | it says | found | verdict |
|---|---|---|---|---|"""

_SEARCH = """\
## How the search was chosen

Measured with a plain loop that shares no code with this project's: a residual network (95.5 % on its source) and a
ViT (90.8 %), both pretrained in a suite, and MobileNetV2 0.35 with ImageNet weights at 64 px; near, digits,
satellite scenes and hand signs (for heads mid and far too) at 10 or 20 labels per class; 60 steps of 16 images,
heads from zero, four rates per decade near the best, three folds. 170 cells (network, set, what trains, optimizer,
draw of labels), 108 of them heads alone, every network counting alike. SGD for the body and for added modules was
measured on the two convolutional networks; AdamW there on the ViT (16 cells), the residual network (8) and the
MobileNet (2). Search rules were then replayed on these scores; the grids with halving, which was their default.

Centres (`bench/planning/rates.py`), and the middle half of the best rates:

| optimizer | head | body | added modules | scratch |
|---|---|---|---|---|
| SGD | 0.03 (0.003 to 0.15) | 0.01 (0.005 to 0.04) | 0.003 (0.003 to 0.06) | 0.1 (two cells: 0.18) |
| AdamW | 0.006 (0.006 to 0.06) | 0.001 (0.001 to 0.003) | 0.005 (0.006 to 0.02) | 0.0005 (two cells: 0.0003) |

Regret in points of accuracy (the chosen point against the best of the grid; mean over the 170 cells, standard error
of the first 0.2), share of chosen rates at an edge of those tried, and steps as a share of that many full
trainings:

| trials | rule | on validation | on test | at an edge | steps |
|---|---|---|---|---|---|
| 4 | halved grid over [0.001, 1] or [1e-5, 0.01], last rung keeps one | 3.1 | 2.2 | 50 % | 53 % |
| 4 | the same, last rung keeps two | 2.6 | 1.9 | 45 % | 61 % |
| 4 | bracket | 1.5 | 1.6 | 9 % | 100 % |
| 6 | grid, one / two | 2.5 / 2.3 | 1.8 / 1.8 | 31 / 29 % | 43 / 48 % |
| 6 | bracket | 0.8 | 1.4 | 5 % | 100 % |
| 9 | grid, one / two | 2.1 / 1.8 | 1.6 / 1.6 | 29 / 26 % | 41 / 44 % |
| 8 | bracket | 0.4 | 1.4 | 4 % | 100 % |
| 9 | bracket | 0.4 | 1.4 | 4 % | 100 % |
| 12 | grid, one / two | 1.7 / 1.7 | 1.6 / 1.6 | 21 / 21 % | 43 / 43 % |
| 12 | bracket | 0.3 | 1.3 | 4 % | 100 % |

These centres come from the same cells. With centres from the two other networks (leave one out) the bracket's regret
at 4, 6, 9 and 12 trials is 1.7, 0.9, 0.4 and 0.3 on validation, and 1.9, 1.4, 1.4 and 1.4 on test. Choosing by
validation from the whole fine grid costs 1.3 on test: no rule can be expected to do better.

Brackets do not use halving. Six full trials cost less than eight that race in threes (6.0 against 6.4 trainings) and
have about the same regret (0.8 against 0.7). A race also breaks down where the centre lies above a network's cliff:
every early score ties at chance, and the race drops the one point that would have recovered. With centres from other
networks, one cell lost 72 points that way (low-rank updates of the MobileNet on digits); without halving, the worst
cell lost 9.
"""


_REFERENCES = """\
## Files of published values

A suite names them under `references`, by paths from its own file; `python -m bench list references` shows those in
`suites/references/`. A file is one paper or repository: tables as they are printed, each value with what it is of and
how it was measured. What a value is of (data set, labels, network, strategy) is said by its table, its column or its
row, each thing once. The page lays a value beside every cell that fits, and says what differs; where anything differs
or is not known, it says no more than that. No value stands there from memory.
"""


def reference_markdown() -> str:
    """`suites/README.md`: the rules, then one table per section."""
    parts = [_INTRO, "## The suite\n\n" + _table(schema.Suite)]
    places: dict[type[BaseModel], list[str]] = {}
    for path, section in _sections(schema.Suite, ""):
        places.setdefault(section, []).append(path)
    parts += [_part(section, paths) for section, paths in places.items()]
    return "\n".join([*parts, _known_claims(), _measured_claims(), _references(), _SEARCH])


def _references() -> str:
    """The files that `references` names."""
    sections: list[tuple[str, type[BaseModel]]] = [
        ("the file", ReferencesSpec), ("tables[]", TableSpec), ("tables[].rows[]", RowSpec),
        ("tables[].columns[]", PartSpec), ("protocol", ProtocolSpec),
    ]  # fmt: skip
    shared = set(annotations(PartSpec))
    parts = [_REFERENCES]
    for path, section in sections:
        known = set() if section is PartSpec else shared & set(annotations(section))
        also = "Besides what `tables[].columns[]` has:\n\n" if known else ""
        parts.append(f"### {path}\n\n{also}{_table(section, known)}")
    return "\n".join(parts)


def _part(section: type[BaseModel], paths: list[str]) -> str:
    also = f"The same stands at {', '.join(f'`{path}`' for path in paths[1:])}.\n\n" if paths[1:] else ""
    return f"## {paths[0]}\n\n{also}{_table(section)}"


def _known_claims() -> str:
    """Those that a suite can name."""
    rows = [f"| `{name}` | {one['claim']} | {one['source']} |" for name, one in KNOWN.items()]
    return "\n".join(["## Known claims\n", "| name | claim | who says so |", "|---|---|---|", *rows, ""])


def _measured_claims() -> str:
    rows = [f"| `{suite}.yaml` | {' | '.join(row)} |" for suite, found in MEASURED.items() for row in found]
    return "\n".join([_MEASURED, *rows, ""])


def _sections(section: type[BaseModel], prefix: str) -> Iterator[tuple[str, type[BaseModel]]]:
    """Every section below this one with its path, in reading order. A range is described by its type alone."""
    for name, annotation in annotations(section).items():
        below, is_list = item(annotation)
        if below is None or below is Range:
            continue
        path = f"{prefix}{name}{'[]' if is_list else ''}"
        yield path, below
        yield from _sections(below, f"{path}.")


def _table(section: type[BaseModel], without: Collection[str] = ()) -> str:
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for name, annotation in annotations(section).items():
        if name in without:
            continue
        info = section.model_fields[name]
        cells = (f"`{name}`", _type(annotation), _default(info), _one_line(info.description))
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _type(annotation: Any) -> str:
    below, is_list = item(annotation)
    if below is None or below is Range:
        return expected(annotation)
    plain = [expected(o) for o in branches(annotation) if not is_section(o)] if not is_list else []
    return " or ".join([*plain, "a list, see below" if is_list else "a section, see below"])


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.default
    if value is None or value == () or value == "" or value == {}:
        return "unset"
    if isinstance(value, BaseModel):
        return "its defaults"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())


def json_schema() -> Json:
    """JSON Schema, draft 2020-12, of what a suite file may hold, short forms included."""
    full = schema.Suite.model_json_schema(mode="validation")
    sections = {**full["$defs"], "Suite": full}
    for section in sections.values():
        _tidy(section)
        _allow_unset(section)
    _allow_short_forms(sections)
    made = list(study.MADE)  # by the section for a study, where there is one
    full["required"] = [key for key in full["required"] if key not in made]
    full["anyOf"] = [{"required": made}, {"required": [study.KEY]}]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **full}


def _tidy(node: Any) -> None:
    """Wrapped docstrings become one line, as an editor shows them; titles go."""
    if isinstance(node, dict):
        if isinstance(node.get("description"), str):
            node["description"] = _one_line(node["description"])
        if isinstance(node.get("title"), str):
            del node["title"]  # pydantic's, a worse repetition of the key
        for below in node.values():
            _tidy(below)
    elif isinstance(node, list):
        for below in node:
            _tidy(below)


def _allow_unset(section: Json) -> None:
    for name, value in section["properties"].items():
        if name not in section.get("required", ()):
            _widen(value, {"type": "null"})


def _widen(node: Json, *alternatives: Json) -> None:
    """Let a schema accept more. What describes it stays outside, where editors look for it."""
    outside: Json = {key: node.pop(key) for key in ("description", "default") if key in node}
    options = node.pop("anyOf") if set(node) == {"anyOf"} else [dict(node)]
    node.clear()
    node.update(outside, anyOf=[*options, *(a for a in alternatives if a not in options)])


def _allow_short_forms(sections: dict[str, Json]) -> None:
    suite, dataset = sections["Suite"]["properties"], sections["DatasetSpec"]["properties"]
    name = sections["DatasetSpec"]["properties"]["name"]
    for entries in ("datasets", "backbones", "strategies"):
        _widen(suite[entries]["items"], {k: name[k] for k in ("type", "minLength", "maxLength")})
    moments = sections["StopSpec"]["properties"]["moments"]
    for section in ("StrategySpec", "RecipeSpec"):
        _widen(sections[section]["properties"]["stop_early"], {k: moments[k] for k in ("type", "minimum", "maximum")})
    _widen(suite["strategies"]["items"], *_short_strategies())
    claim = sections["ClaimSpec"]
    known = {"required": ["name"], "properties": {"name": {"enum": list(KNOWN)}}}
    claim["anyOf"] = [{"required": claim.pop("required")}, known]
    [listed] = (option for option in suite["claims"]["anyOf"] if option.get("type") == "array")
    _widen(listed["items"], {"enum": list(KNOWN)})
    for section in ("Suite", "StrategySpec"):
        _widen(sections[section]["properties"]["head"], {"enum": choices(annotations(schema.HeadSpec)["start"])})
    for budget in ("labels_per_class", "fraction", "total"):
        lists = [option for option in dataset[budget]["anyOf"] if option.get("type") == "array"]
        _widen(dataset[budget], *(option["items"] for option in lists))
    for section in ("DatasetSpec", "PretrainingSpec"):
        _widen(sections[section]["properties"]["classes"], sections["ClassesSpec"]["properties"]["names"])
    low = {k: v for k, v in sections["Range"]["properties"]["low"].items() if k in ("type", "exclusiveMinimum")}
    pair = {"type": "array", "prefixItems": [low, low], "items": False, "minItems": 2, "maxItems": 2}
    for key in ("lr", "weight_decay"):
        _widen(sections["SearchSpec"]["properties"][key], pair)


def _short_strategies() -> tuple[Json, ...]:
    one_key = {"type": "object", "minProperties": 1, "maxProperties": 1}
    recipe = {"recipe": {"$ref": "#/$defs/RecipeSpec"}}
    return (
        *(_short_strategy(beside) for beside in ((), ("stop_early",), ("head",), ("stop_early", "head"))),
        {**one_key, "properties": recipe, "additionalProperties": False},
    )


def _short_strategy(beside: tuple[str, ...]) -> Json:
    """A name with its options, and with these keys beside it."""
    own = {
        "stop_early": {"anyOf": [{"$ref": "#/$defs/StopSpec"}, {"type": "integer", "minimum": 1, "maximum": 100}]},
        "head": {"anyOf": [{"$ref": "#/$defs/HeadSpec"}, {"type": "string"}]},
    }
    num = 1 + len(beside)
    return {
        "type": "object", "minProperties": num, "maxProperties": num, "required": list(beside),
        "propertyNames": {"not": {"enum": [key for key in annotations(schema.StrategySpec) if key not in beside]}},
        "properties": {key: own[key] for key in beside},
        "additionalProperties": {"type": ["object", "null"]},
    }  # fmt: skip


if __name__ == "__main__":
    sys.stdout.write(reference_markdown())
