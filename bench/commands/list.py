"""`bench list`: what a suite can name, and what has run: a name and a line each, or all about one of them. One broken
entry is shown as broken and hides no other."""

import sys
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from bench.catalogue import range_text, type_text, yaml_text
from bench.commands.output import as_json, note, say, width
from bench.errors import BenchError, Missing, NothingSelected, StoreError, nearest, unknown
from bench.text import printable

Row = dict[str, Any]  # has "name", and "problem" where the entry cannot be used
LONGEST_NAME = 32  # columns that names may push the descriptions to the right


def show_list(what: str, name: str | None, timm_glob: str | None, place: tuple[Path, bool]) -> int:
    """`name`: of the one that all is told of. `place`: the results folder, and whether JSON is asked for."""
    results, json = place
    if timm_glob is not None and what != "backbones":
        raise BenchError(f"--timm goes with `list backbones`, not with `list {what}`")
    if timm_glob is not None and name is not None:
        raise BenchError(f"--timm lists architectures; `list backbones {name}` tells of one")
    rows = _timm(timm_glob) if timm_glob is not None else LISTS[what](results)
    if name is not None:
        _tell(_named(what, name, rows), json)
    elif json:
        as_json(rows)
    elif rows:
        _print(rows)
        if sys.stdout.isatty():
            note(_read_on(what, timm_glob))
    else:
        note(f"no {what} here")
    return 0


def _named(what: str, name: str, rows: list[Row]) -> Row:
    for row in rows:
        if name == row["name"] or name == row.get("file"):
            return row
    from bench.backbones import timm_names

    if what == "backbones" and name.partition(".")[0] in timm_names.index():
        return _timm(name)[0]
    kind = {"strategies": "strategy"}.get(what, what.removesuffix("s"))
    raise BenchError(unknown(kind, name, [row["name"] for row in rows], f"`python -m bench list {what}`"))


def _print(rows: list[Row]) -> None:
    """A line each, which a terminal cuts at its edge; a file has it whole."""
    from rich.cells import cell_len, set_cell_size

    names = [printable(str(row["name"])) for row in rows]
    indent = min(max(map(cell_len, names)), LONGEST_NAME)
    for name, row in zip(names, rows, strict=True):
        line = f"{set_cell_size(name, max(indent, cell_len(name)))}  {printable(_line(row))}".rstrip()
        if sys.stdout.isatty() and cell_len(line) > width():
            line = set_cell_size(line, width() - 1).rstrip() + "…"
        say(line)


def _line(row: Row) -> str:
    if "problem" in row:
        return f"broken: {row['problem']}"
    if "planned" in row:
        wrong = f", {row['went_wrong']} went wrong" if row["went_wrong"] else ""
        return f"{row['finished']} of {row['planned']} trainings{wrong}. {row['description']}".rstrip()
    absent = str(row.get("here") or "")
    told = str(row.get("description", " ".join(row.get("weights", ()))))
    return f"{told} ({absent.replace('no', 'not here', 1)})" if absent.startswith("no") else told


def _read_on(what: str, timm_glob: str | None) -> str:
    more = f"`python -m bench list {what} NAME` says all about one"
    return f"{more}; {_timm_line()}" if what == "backbones" and timm_glob is None else more


def _tell(row: Row, json: bool) -> None:
    if json:
        as_json(row)
        return
    say(f"{row['name']}: {_line(row)}")
    for key, value in row.items():
        if key not in ("name", "description", "problem", "options") and value not in (None, "", []):
            told = ", ".join(map(str, value)) if isinstance(value, list) else value
            say(f"{key.replace('_', ' ')}: {told}")
    options = row.get("options", ())
    if "options" in row:
        say("options:" if options else "options: none")
    for option in options:
        say(f"  {_option_text(option)}")
        if option["meaning"]:
            say(f"      # {option['meaning']}")


def _suites(_: Path) -> list[Row]:
    from bench.suite.load import load_suite
    from bench.suite.shipped import by_name

    rows = []
    for name, path in by_name().items():
        try:
            first_line = next(iter(load_suite(path).suite.description.splitlines()), "")
            rows.append({"name": name, "file": str(path), "description": first_line})
        except BenchError as error:
            first_problem = str(error).splitlines()[0]
            rows.append({"name": name, "file": str(path), "problem": first_problem})
    return rows


def _references(_: Path) -> list[Row]:
    from bench.suite.references import HOME, load_references
    from bench.suite.shipped import by_name

    rows = []
    for name, path in by_name(HOME.name).items():
        try:
            file = load_references(path, path.name)
            rows.append({"name": name, "file": str(path), "values": len(file.values), "description": file.source,
                         "address": file.address})
        except BenchError as error:
            rows.append({"name": name, "file": str(path), "problem": str(error).splitlines()[0]})
    return rows


def _datasets(_: Path) -> list[Row]:
    from bench import datasets

    return [_entry(name, datasets.find, _dataset) for name in datasets.names()]


def _dataset(entry: Any) -> Row:
    row = {"description": entry.summary, "options": options_of(entry.options)}
    sizes: Row = {"modality": None, "classes": None, "train": None, "test": None, "image_size": None, "here": None}
    if any(option["required"] for option in row["options"]):  # what it holds depends on what is given
        return {**row, **sizes}
    sizes["modality"] = entry.modality
    try:
        facts = entry.facts(entry.options())
    except Missing as missing:
        return {**row, **sizes, "here": f"no, {missing.megabytes:,} MB" if missing.megabytes else "no"}
    modality = facts.modality or entry.modality
    return {**row, "modality": modality, "classes": facts.num_classes, "train": facts.num_train, "test": facts.num_test,
            "image_size": facts.image_size if modality == "image" else None, "here": "yes"}


def _backbones(_: Path) -> list[Row]:
    from bench import backbones

    return [_entry(name, backbones.find, _backbone) for name in backbones.names()]


def _backbone(entry: Any) -> Row:
    return {"description": entry.summary, "modality": entry.facts.modality, "units": list(entry.facts.unit_names),
            "options": options_of(entry.options)}


def _strategies(_: Path) -> list[Row]:
    from bench import strategies

    return [_entry(name, strategies.find, _strategy) for name in strategies.names()]


def _strategy(entry: Any) -> Row:
    options = [
        {**option, **({"search": entry.ranges[option["name"]].text} if option["name"] in entry.ranges else {})}
        for option in options_of(entry.options)
    ]
    return {"description": entry.summary, "paper": entry.paper, "needs": list(entry.needs), "options": options}


def _entry(name: str, find: Callable[[str], Any], describe: Callable[[Any], Row]) -> Row:
    try:
        return {"name": name, **describe(find(name))}
    except Exception as error:  # a third party's code: anything may happen in it
        text = str(error) if isinstance(error, BenchError) else f"{type(error).__name__}: {error}"
        return {"name": name, "problem": (text.splitlines() or [type(error).__name__])[0]}


def options_of(model: Any) -> list[Row]:
    """Of a pydantic model: what a suite may set, with types and defaults."""
    found = []
    for name, spec in model.model_fields.items():
        option: Row = {"name": name, "type": type_text(spec.annotation), "required": spec.is_required()}
        if not spec.is_required():
            option["default"] = spec.get_default(call_default_factory=True)
        if bounds := range_text(spec.metadata):
            option["range"] = bounds
        found.append({**option, "meaning": " ".join((spec.description or "").split())})
    return found


def _option_text(option: Row) -> str:
    """`rank: 8  # int, >= 1, search: 1..64`: as a suite has it, the default in its place."""
    kind = [option["type"], *([option["range"]] if "range" in option else [])]
    searched = [f"search: {option['search']}"] if "search" in option else []
    default = "..." if option["required"] else yaml_text(option["default"])
    must = ["required"] if option["required"] else []
    return f"{option['name']}: {default}  # {', '.join([*kind, *must, *searched])}"


def _timm(glob: str) -> list[Row]:
    """Architectures that match by their own name, or by the name with a weights tag: `resnet*`, `*.*dino*`."""
    from bench.backbones import timm_names

    index = timm_names.index()
    if not index:
        raise BenchError("timm is not installed; `python -m bench doctor` says what else is missing")
    rows = []
    for name, tags in sorted(index.items()):
        kept = [tag for tag in tags if fnmatchcase(f"{name}.{tag}", glob)]
        if fnmatchcase(name, glob) or kept:
            rows.append({"name": name, "weights": kept or list(tags)})
    if not rows:
        close = nearest(glob.partition(".")[0].strip("*?"), index)
        hint = f"; near it: {', '.join(close)}" if close else ""
        raise NothingSelected(f"no timm architecture matches {glob!r}{hint}")
    return rows


def _timm_line() -> str:
    from bench.backbones import timm_names

    found = timm_names.index()
    if not found:
        return "timm is not installed, so no others; `python -m bench doctor` says more"
    return f"--timm 'resnet*' lists such of the {len(found)} timm architectures, each a backbone by its name"


def _runs(results: Path) -> list[Row]:
    from bench.commands.suites import Folders, names_of_runs

    folders = Folders(results, Path())
    return [_run(name, folders) for name in names_of_runs(folders)]


def _run(name: str, folders: Any) -> Row:
    from bench.commands.progress import read_progress
    from bench.commands.suites import recalled

    try:
        plan = recalled(name, folders)
        progress = read_progress(plan, folders.roots(name))
    except (BenchError, StoreError) as error:
        return {"name": name, "problem": str(error).splitlines()[0]}
    return {
        "name": name,
        "finished": len(progress.records),
        "planned": plan.num_trainings,
        "went_wrong": len(progress.wrong),
        "damaged": len(progress.damaged),
        "description": next(iter(plan.loaded.suite.description.splitlines()), ""),
    }


# What can be listed, and how.
LISTS: dict[str, Callable[[Path], list[Row]]] = {
    "suites": _suites,
    "datasets": _datasets,
    "backbones": _backbones,
    "strategies": _strategies,
    "references": _references,
    "runs": _runs,
}
