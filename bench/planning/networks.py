"""Backbones of entries that stand for many networks, `hf:NAME`: what their files tell, before anything is built."""

from dataclasses import asdict

from bench import backbones
from bench.backbones.base import Found
from bench.datasets.files import digests_of
from bench.errors import BenchError, Missing
from bench.keys import digest
from bench.planning.problems import Place, Problems
from bench.planning.resolve import checked_options
from bench.suite.schema import BackboneSpec


def networks_of(specs: list[BackboneSpec], known: list[int], problems: Problems) -> dict[int, Found]:
    """By number in the suite; those that are wrong or missing are told of, and not in it."""
    found = {}
    for number in known:
        one = _network(number, specs[number], problems)
        if one is not None:
            found[number] = one
    return found


def stands_for_many(spec: BackboneSpec) -> bool:
    entry = backbones.find(spec.name)
    return entry is not None and entry.found is not None


def _network(number: int, spec: BackboneSpec, problems: Problems) -> Found | None:
    entry = backbones.find(spec.name)
    if entry is None or entry.found is None:
        return None
    loc = ("backbones", number)
    written = digest(repr([spec.name, spec.options]))
    if written in problems.kept.networks:
        return Found(**problems.kept.networks[written], weights=None, files={})
    name, given = backbones.split_name(spec.name)
    at = Place(problems, (*loc, "options"))
    options = checked_options(f"backbone {name!r}", entry.options, {**given, **spec.options}, at)
    if options is None:
        return None
    try:
        found = entry.found(options, problems.loaded.path.parent, lambda path: digests_of([path])[0])
    except Missing as missing:
        problems.lack((*loc, "name"), missing)
        return None
    except BenchError as error:
        problems.add((*loc, "name"), str(error))
        return None
    problems.finds.networks[written] = {name: asdict(found)[name] for name in ("options", "short")}
    return found
