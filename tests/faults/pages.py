"""Several processes write one page, and look at it after each time: `python -m tests.faults.pages [WRITES]`."""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from bench.errors import StoreError
from bench.report import replace_page

LETTERS = "ab"  # a writer for each
SIZE = 400_000  # characters; pages have as many


def run(page, writes):
    """writes, errors and torn pages, of all writers together."""
    typed = [sys.executable, "-m", "tests.faults.pages", str(page), str(writes)]
    writers = [subprocess.Popen([*typed, letter], stdout=subprocess.PIPE, text=True) for letter in LETTERS]
    found = Counter(writes=0, errors=0, torn=0)
    for writer in writers:
        found.update(json.loads(writer.communicate()[0]))
    return dict(found)


def write(page, writes, letter):
    found = Counter(writes=0, errors=0, torn=0)
    for _ in range(writes):
        found["writes"] += 1
        try:
            replace_page(page, letter * SIZE)
        except (OSError, StoreError):
            found["errors"] += 1
        text = page.read_text()
        found["torn"] += len(text) != SIZE or len(set(text)) != 1
    return found


def main(writes=500):
    with tempfile.TemporaryDirectory() as place:
        found = run(Path(place) / "page.html", int(writes))
        found["left over"] = sum(path.name != "page.html" for path in Path(place).iterdir())
    sys.stdout.write(f"{found}\n")
    return 1 if found["errors"] or found["torn"] or found["left over"] else 0


if __name__ == "__main__":
    if len(sys.argv) == 4:  # one of the writers
        sys.stdout.write(json.dumps(write(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])))
    else:
        sys.exit(main(*sys.argv[1:]))
