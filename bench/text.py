"""Names of users on their way to a terminal, a page or a log."""


def printable(text: str) -> str:
    """One line without what would move the cursor, turn the writing direction or start a new line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
