"""Suites by name: those in `suites/` where the command runs, and those that come with this code."""

from pathlib import Path

HOME = Path("suites")
SHIPPED = Path(__file__).resolve().parents[1] / "shipped"  # in a checkout a link to `suites/`, in a wheel a copy


def by_name(inside: str = ".") -> dict[str, Path]:
    """Name -> file, by name. One in `suites/` hides the shipped one of its name. `inside`: a folder in both."""
    found = {path.stem: path for home in (SHIPPED, HOME) for path in (home / inside).glob("*.yaml")}
    return dict(sorted(found.items()))


def is_file_name(suite: str) -> bool:
    """A path ends in .yaml or .yml, or has a folder in it; anything else is the name of a suite or of a run."""
    return suite.endswith((".yaml", ".yml")) or Path(suite).name != suite


def located(typed: Path) -> Path:
    """The file of a suite. A path that is a file wins over a name."""
    if is_file_name(str(typed)) or typed.is_file():
        return typed
    return by_name().get(str(typed), typed)
