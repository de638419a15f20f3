"""Names and options of a suite that its form is wrong elsewhere: told with the rest, so that one look mends all.

`enumerate.py` says the same of a suite whose form is right, and more. Nothing is looked at but the catalogues.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bench import backbones, datasets, strategies
from bench.catalogue import OptionProblems, Options, parse_options
from bench.errors import BenchError
from bench.strategies import varied
from bench.suite.positions import Loc, Node, Problem


def wrong_names(suite: Node) -> Iterator[Problem]:
    """Of every entry that has a name."""
    checks: dict[str, Callable[[str, Mapping[str, Any]], None]] = {
        "datasets": _dataset, "backbones": _backbone, "strategies": _strategy,
    }  # fmt: skip
    for section, check in checks.items():
        entries = suite.child(section)
        for number, entry in enumerate(entries.value if entries and isinstance(entries.value, list) else ()):
            yield from _of_entry(check, entry, (section, number))
            if section == "backbones" and (taught := entry.child("pretrain")) is not None:
                yield from _of_entry(_dataset, taught, (section, number, "pretrain"), "dataset")


def _of_entry(
    check: Callable[[str, Mapping[str, Any]], None], entry: Node, loc: Loc, key: str = "name"
) -> Iterator[Problem]:
    name, options = entry.child(key), entry.child("options")
    if name is None or not isinstance(name.value, str) or entry.child("recipe") is not None:
        return
    try:
        given = options.plain(list) if options is not None and isinstance(options.value, dict) else {}
        check(name.value, given)
    except OptionProblems as error:
        for option, text in error.problems:
            within: Loc = ("options", option) if option else ("options",)
            yield Problem(entry.nearest(within).place, (*loc, *within), text)
    except (BenchError, ValueError) as error:
        yield Problem(name.place, (*loc, key), str(error))


def _dataset(name: str, raw: Mapping[str, Any]) -> None:
    own, given = datasets.split_name(name)
    datasets.parse_options(datasets.find(own), {**given, **raw})


def _backbone(name: str, raw: Mapping[str, Any]) -> None:
    entry = backbones.find(name)
    own, given = backbones.split_name(name)
    if entry is not None:
        parse_options(f"backbone {own!r}", entry.options, {**given, **raw})


def _strategy(name: str, raw: Mapping[str, Any]) -> None:
    entry = strategies.find(name)
    fixed, spans = varied.split(entry, raw)
    options: dict[str, Any] = {**fixed, **{option: span.at(0.5) for option, span in spans.items()}}
    model: type[Options] = entry.options
    parse_options(f"strategy {name!r}", model, options)
