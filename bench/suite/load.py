"""A suite file -> a checked, frozen `Suite` with every default filled, or every problem of the file at once.

The way: `positions.py` reads, `overrides.py` replaces, `shorthand.py` and `study.py` spell out, `schema.py`
checks, `refusals.py` words what it refused, `checks.py` compares entries. `plan/` reads the result.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from bench.errors import SuiteError, nearest
from bench.suite import checks, refusals, shorthand, study
from bench.suite.overrides import apply_override
from bench.suite.positions import MAX_BYTES, Node, Place, Problem, Unreadable, clip, read_tree
from bench.suite.schema import Suite
from bench.suite.words import got

_A_SUITE = "a suite is a mapping with name, datasets, backbones and strategies"


@dataclass(frozen=True)
class LoadedSuite:
    """A suite and where each part of it was written, so that later checks can point at it too."""

    suite: Suite
    text: str  # as written, without overrides
    path: Path  # as the user typed it
    tree: Node  # the full form, overrides applied
    stand_ins: tuple[str, ...] = ()  # what of it was replaced (see plan/stand_in.py), told on every page

    def where(self, loc: Sequence[str | int]) -> str:
        """("strategies", 1, "options", "rank") -> "suites/x.yaml:12:5"; for a default, the section it belongs to."""
        return str(self.tree.nearest(loc).place)

    def problem(self, loc: Sequence[str | int], text: str) -> str:
        """One line of a SuiteError about the part of the suite at `loc`."""
        return str(Problem(self.tree.nearest(loc).place, tuple(loc), text))


def load_suite(path: Path, overrides: Sequence[str] = (), text: str | None = None) -> LoadedSuite:
    """Read and check a suite. `overrides` as typed after `--set`. `text`: where it is known, it is not read from
    `path`. Raises SuiteError with all problems."""
    text = _read(path) if text is None else text
    tree, problems = _tree(text, path, overrides)
    problems += checks.loose_numbers(tree)
    problems += checks.repeats(tree)
    suite: Suite | None = None
    try:
        suite = Suite.model_validate(tree.plain())
    except ValidationError as error:
        problems += refusals.problems_of(error, tree)
    if problems or suite is None:
        raise SuiteError(str(problem) for problem in sorted(problems, key=lambda p: p.order))
    return LoadedSuite(suite, text, path, tree)


def _tree(text: str, path: Path, overrides: Sequence[str]) -> tuple[Node, list[Problem]]:
    """The suite in its full form with overrides applied; stops only where there is nothing to check at all."""
    start = Place(_shown(path), 1, 1)
    try:
        tree, problems = read_tree(text, start)
    except Unreadable as error:
        raise SuiteError([str(error.problem)]) from None
    if tree is None or tree.value is None:
        raise SuiteError([f"{start}: the file is empty; {_A_SUITE}"])
    if not isinstance(tree.value, dict):
        raise SuiteError([f"{tree.place}: {_A_SUITE}, got {got(tree)}"])
    tree = shorthand.expand(tree)
    for override in overrides:
        tree, found = apply_override(tree, override)
        tree = shorthand.expand(tree)
        problems += found
    tree, found = study.spelled_out(tree)
    return shorthand.expand(tree), problems + found


def _read(path: Path) -> str:
    try:
        if not path.is_file():
            raise SuiteError([f"{_shown(path)}: {_absent(path)}"])
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise SuiteError([f"{_shown(path)}: over 1 MiB; a suite is a page of YAML: {_A_SUITE}"])
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SuiteError([f"{_shown(path)}: not UTF-8 text (byte {error.start}); {_A_SUITE}"]) from None
    except OSError as error:
        raise SuiteError([f"{_shown(path)}: cannot be read: {error.strerror}"]) from None


def _shown(path: Path) -> str:
    """The path as typed; what a terminal would not print is escaped."""
    return clip(str(path), 4096)


def _absent(path: Path) -> str:
    """What to say of a path that is no file: the suites nearest to it."""
    if path.is_dir():
        return "a folder, not a suite file"
    folders = dict.fromkeys((path.parent, Path("suites")))
    known = {str(p): p.stem for folder in folders for p in sorted(folder.glob("*.y*ml"))}
    stems = nearest(path.stem, known.values())
    close = [p for p, stem in known.items() if stem in stems][:3]
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    listing = f". Suites here: {', '.join(sorted(known)[:12])}" if known and not close else ""
    return f"no such file{hint}{listing}"
