"""`bench list`: what a suite can name, and what has run. One broken entry is shown as broken and hides no other."""

from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from bench.catalogue import range_text, type_text
from bench.commands.output import as_json, note, say, table
from bench.errors import BenchError, Missing, NothingSelected, StoreError, nearest

Row = dict[str, Any]  # has "name", and "problem" where the entry cannot be used
SUITES = Path("suites")
DESCRIPTION_WIDTH = 100  # characters people see of it; --json has it all


def show_list(what: str, timm_glob: str | None, results: Path, json: bool) -> int:
    if timm_glob is not None and what != "backbones":
        raise BenchError(f"--timm goes with `list backbones`, not with `list {what}`")
    if timm_glob is not None:
        rows = _timm(timm_glob)
        columns = ["name", "weights"]
    else:
        make, columns = LISTS[what]
        rows = make(results)
    if json:
        as_json(rows)
        return 0
    if rows:
        table(columns, [[_cell(row, column) for column in columns] for row in rows])
    else:
        note(f"no {what} here")
    if what == "backbones" and timm_glob is None:
        say()
        say(_timm_line())
    return 0


def _cell(row: Row, column: str) -> str:
    if column not in row:  # a broken entry has little more than its name and its problem
        return f"broken: {row['problem']}" if column == "description" else ""
    if column == "description":
        return _short(row[column])
    value = row[column]
    if column == "options":
        return ", ".join(_option_text(option) for option in value) or "none"
    if isinstance(value, list):
        return (", " if column == "needs" else " ").join(value)
    return "" if value is None else str(value)


def _short(text: str) -> str:
    return text if len(text) <= DESCRIPTION_WIDTH else f"{text[:DESCRIPTION_WIDTH]}..."


def _suites(_: Path) -> list[Row]:
    from bench.suite.load import load_suite

    rows = []
    for path in sorted(SUITES.glob("*.yaml")):
        try:
            suite = load_suite(path).suite
            first_line = next(iter(suite.description.splitlines()), "")
            rows.append({"name": suite.name, "file": str(path), "description": first_line})
        except BenchError as error:
            first_problem = str(error).splitlines()[0]
            rows.append({"name": path.stem, "file": str(path), "problem": first_problem})
    return rows


def _references(_: Path) -> list[Row]:
    from bench.suite.references import HOME, load_references

    rows = []
    for path in sorted(HOME.glob("*.yaml")):
        try:
            file = load_references(path, path.name)
            rows.append({"name": path.stem, "file": str(path), "values": len(file.values), "description": file.source,
                         "address": file.address})
        except BenchError as error:
            rows.append({"name": path.stem, "file": str(path), "problem": str(error).splitlines()[0]})
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
    default = "" if option["required"] else f" = {option['default']!r}"
    bounds = f" ({option['range']})" if "range" in option else ""
    searched = f" (search: {option['search']})" if "search" in option else ""
    return f"{option['name']}: {option['type']}{default}{bounds}{searched}"


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
    return (f"and {len(found)} timm architectures, each by its name, with or without a weights tag "
            f"(resnet18.a1_in1k): --timm 'resnet*' lists them")


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


# What can be listed -> how, and the columns people see.
LISTS: dict[str, tuple[Callable[[Path], list[Row]], list[str]]] = {
    "suites": (_suites, ["name", "file", "description"]),
    "datasets": (_datasets, ["name", "here", "modality", "classes", "train", "test", "image_size", "description",
                             "options"]),
    "backbones": (_backbones, ["name", "modality", "units", "description", "options"]),
    "strategies": (_strategies, ["name", "description", "paper", "needs", "options"]),
    "references": (_references, ["name", "file", "values", "description", "address"]),
    "runs": (_runs, ["name", "finished", "planned", "went_wrong", "description"]),
}
