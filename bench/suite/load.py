"""A suite file -> a checked, frozen `Suite` with every default filled, or every problem of the file at once.

The way: `files.py` and `positions.py` read, `overrides.py` replaces, `shorthand.py` and `study.py` spell out,
`schema.py` checks, `refusals.py` words what it refused, `checks.py` compares entries, `references.py` reads the files
of published values that are named. `planning/` reads the result.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from bench.errors import SuiteError
from bench.suite import checks, refusals, shorthand, study
from bench.suite.files import Kind, mapping, read_text
from bench.suite.overrides import apply_override
from bench.suite.positions import Node, Problem
from bench.suite.references import ReferenceFile, load_references
from bench.suite.schema import Suite
from bench.suite.shipped import HOME, by_name, located

A_SUITE = Kind("suite", "a suite is a mapping with name, datasets, backbones and strategies", HOME, by_name)


@dataclass(frozen=True)
class LoadedSuite:
    """A suite and where each part of it was written, so that later checks can point at it too."""

    suite: Suite
    text: str  # as written, without overrides
    path: Path  # as the user typed it, or of the name that was typed
    tree: Node  # the full form, overrides applied
    stand_ins: tuple[str, ...] = ()  # what of it was replaced (see planning/stand_in.py), told on every page
    references: tuple[ReferenceFile, ...] = ()  # files of published values that it names
    left_out: str = ""  # what of it a run had no room for, in a sentence

    def where(self, loc: Sequence[str | int]) -> str:
        """("strategies", 1, "options", "rank") -> "suites/x.yaml:12:5"; for a default, the section it belongs to."""
        return str(self.tree.nearest(loc).place)

    def problem(self, loc: Sequence[str | int], text: str) -> str:
        """One line of a SuiteError about the part of the suite at `loc`."""
        return str(Problem(self.tree.nearest(loc).place, tuple(loc), text))


def load_suite(
    path: Path,
    overrides: Sequence[str] = (),
    text: str | None = None,
    named: Mapping[str, str] | None = None,
    also: Callable[[Node], Iterable[Problem]] = lambda _: (),
) -> LoadedSuite:
    """Read and check a suite. `path`: of it, or its name. `overrides` as typed after `--set`. `text`: where it is
    known, it is not read from `path`; `named`: likewise the texts of the files that it names. `also`: what else is
    wrong with a tree that is refused, as those say who know the catalogues. Raises SuiteError with all problems."""
    if text is None:
        path = located(path)
        text = read_text(path, A_SUITE)
    tree, problems = _tree(text, path, overrides)
    problems += checks.loose_numbers(tree)
    problems += checks.repeats(tree)
    suite: Suite | None = None
    try:
        suite = Suite.model_validate(tree.plain())
    except ValidationError as error:
        problems += refusals.problems_of(error, tree)
    if problems or suite is None:
        problems += also(tree)
        raise SuiteError(str(problem) for problem in sorted(problems, key=lambda p: p.order))
    return LoadedSuite(suite, text, path, tree, references=_references(suite, tree, path, named or {}))


def _references(suite: Suite, tree: Node, path: Path, named: Mapping[str, str]) -> tuple[ReferenceFile, ...]:
    """Of the files that it names, by paths from its own folder."""
    found, problems = [], []
    for number, name in enumerate(suite.references):
        try:
            found.append(load_references(path.parent / name, name, named.get(name)))
        except SuiteError as error:
            loc = ("references", number)
            problems += [str(Problem(tree.nearest(loc).place, loc, line)) for line in error.problems]
    if problems:
        raise SuiteError(problems)
    return tuple(found)


def _tree(text: str, path: Path, overrides: Sequence[str]) -> tuple[Node, list[Problem]]:
    """The suite in its full form with overrides applied; stops only where there is nothing to check at all."""
    tree, problems = mapping(text, path, A_SUITE)
    tree = shorthand.expand(tree)
    for override in overrides:
        tree, found = apply_override(tree, override)
        tree = shorthand.expand(tree)
        problems += found
    tree, found = study.spelled_out(tree)
    return shorthand.expand(tree), problems + found
