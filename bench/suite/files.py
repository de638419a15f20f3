"""A YAML file -> its text, or one line that says why not. `positions.py` makes a tree of it next."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.errors import SuiteError, nearest
from bench.suite.positions import MAX_BYTES, Node, Place, Problem, Unreadable, clip, read_tree
from bench.suite.words import got


@dataclass(frozen=True)
class Kind:
    """Of file."""

    noun: str
    form: str  # what such a file is, in a sentence
    home: Path  # where such files usually lie
    named: Callable[[], Mapping[str, Path]] = dict  # those that may be given by name


def read_text(path: Path, kind: Kind) -> str:
    try:
        if not path.is_file():
            raise SuiteError([f"{shown(path)}: {_absent(path, kind)}"])
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise SuiteError([f"{shown(path)}: over 1 MiB; a {kind.noun} is a page of YAML: {kind.form}"])
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SuiteError([f"{shown(path)}: not UTF-8 text (byte {error.start}); {kind.form}"]) from None
    except OSError as error:
        raise SuiteError([f"{shown(path)}: cannot be read: {error.strerror}"]) from None


def mapping(text: str, path: Path, kind: Kind) -> tuple[Node, list[Problem]]:
    """The tree of a text, which is a mapping; stops only where there is nothing to check at all."""
    start = Place(shown(path), 1, 1)
    try:
        tree, problems = read_tree(text, start)
    except Unreadable as error:
        raise SuiteError([str(error.problem)]) from None
    if tree is None or tree.value is None:
        raise SuiteError([f"{start}: the file is empty; {kind.form}"])
    if not isinstance(tree.value, dict):
        raise SuiteError([f"{tree.place}: {kind.form}, got {got(tree)}"])
    return tree, problems


def shown(path: Path) -> str:
    """The path as typed; what a terminal would not print is escaped."""
    return clip(str(path), 4096)


def _absent(path: Path, kind: Kind) -> str:
    """What to say of a path that is no file: those nearest to it."""
    if path.is_dir():
        return f"a folder, not a {kind.noun} file"
    folders = dict.fromkeys((path.parent, kind.home))
    known = {str(p): p.stem for folder in folders for p in sorted(folder.glob("*.y*ml"))}
    listed = sorted(known) or list(kind.named())
    known |= {name: name for name in kind.named() if name not in known.values()}
    stems = nearest(path.stem, known.values())
    close = [p for p, stem in known.items() if stem in stems][:3]
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    listing = f". {kind.noun.capitalize()}s here: {', '.join(listed[:12])}" if listed and not close else ""
    return f"no such file{hint}{listing}"
