"""`python -m bench.store.load_files FOLDER`: another core for `reading.py`. FOLDER/paths names files; FOLDER/rows gets
a line for each: its row and its checksum as JSON, or nothing where it is not whole.
"""

import gc
import json
import sys
from pathlib import Path

from bench.store.reading import load_folded

if __name__ == "__main__":
    gc.disable()  # as `collection` says
    folder = Path(sys.argv[1])
    with (folder / "rows").open("w") as lines:
        for path in json.loads((folder / "paths").read_text()):
            known = load_folded(path)
            lines.write((json.dumps([*known[0], known[1].hex()]) if isinstance(known, tuple) else "") + "\n")
