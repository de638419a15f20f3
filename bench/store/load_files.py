"""`python -m bench.store.load_files`: another core for `reading.py`. Paths come in, pickled; what they say goes out."""

import gc
import pickle
import sys

from bench.store.reading import load_folded

if __name__ == "__main__":
    gc.disable()  # as `collection` says
    pickle.dump([load_folded(path) for path in pickle.load(sys.stdin.buffer)], sys.stdout.buffer)
