"""`python -m bench.store.load_files`: another core for `reading.py`. JSON of paths comes in, of what they hold goes out."""

import gc
import json
import sys

from bench.store.reading import load_folded

if __name__ == "__main__":
    gc.disable()  # as `collection` says
    found = [load_folded(path) for path in json.load(sys.stdin.buffer)]
    json.dump([(one[0], one[1].hex()) if isinstance(one, tuple) else one for one in found], sys.stdout)
