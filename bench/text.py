"""Names of users on their way to a terminal, a page or a log, and what is said beside a command's results."""

import contextlib
import sys


def printable(text: str) -> str:
    """One line without what would move the cursor, turn the writing direction or start a new line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def encodable(text: str) -> str:
    """A file's name need not be UTF-8, and an error tells it: what has no encoding stands as its escape."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def note(line: str) -> None:
    """On standard error. Nobody may read there any more: that is no reason to stop training."""
    with contextlib.suppress(OSError):
        sys.stderr.write(printable(line) + "\n")
