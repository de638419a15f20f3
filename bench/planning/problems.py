"""What is wrong with a suite, and what is not here: gathered with its places, so that all of it can be said at once."""

from dataclasses import dataclass, field

from bench.errors import Missing
from bench.planning.plan import Finds
from bench.suite.load import LoadedSuite

Loc = tuple[str | int, ...]


@dataclass
class Problems:
    """Collects what is wrong, each with its place, so that all of it can be said at once; and what is not here."""

    loaded: LoadedSuite
    lines: list[str] = field(default_factory=list)
    missing: dict[str, Missing] = field(default_factory=dict)  # by what it is
    lacks: list[str] = field(default_factory=list)  # the same with its place
    kept: Finds = field(default_factory=Finds)  # of an earlier run: nothing is looked for that stands here
    finds: Finds = field(default_factory=Finds)

    def add(self, loc: Loc, text: str) -> None:
        self.lines.append(self.loaded.problem(loc, text))

    def lack(self, loc: Loc, missing: Missing) -> None:
        if missing.what not in self.missing:
            missing.where = self.loaded.where(loc)
            self.lacks.append(self.loaded.problem(loc, str(missing)))
        self.missing.setdefault(missing.what, missing)


@dataclass(frozen=True)
class Place:
    """Somewhere in the suite, and what is wrong there."""

    problems: Problems
    loc: Loc

    def add(self, text: str, *within: str | int) -> None:
        self.problems.add((*self.loc, *within), text)
