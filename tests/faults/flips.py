"""`python -m tests.faults.flips`: every single-bit flip of a real final's record, of its predictions and of a baseline.

Each damaged file is read as the product reads it. The one that is taken for good is accepted; none may be.
"""

import os
import tempfile
from dataclasses import replace
from pathlib import Path

from bench.errors import StoreError
from bench.gate import baseline
from bench.store import Record, Store, predictions
from tests.execute.running import REPOSITORY
from tests.faults.scene import main, scene, table

ROWS = 4  # of the baseline: a flip in the hundredth row is nothing new
SHOWN = 5
MEMORY = Path("/dev/shm")  # no disk need be asked fifty thousand times


def flips(path, is_accepted, every=1):
    """How many of the file's single-bit flips were tried, and which were accepted; `every`: a sample."""
    data, tried, accepted = path.read_bytes(), 0, []
    for place in range(0, len(data) * 8, every):
        damaged = bytearray(data)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        tried += 1
        if is_accepted():
            accepted.append(place)
    path.write_bytes(data)
    return tried, accepted


def flip_record(root, record, every=1):
    store = Store(root)
    store.write(record)

    def is_accepted():
        return record.key in store.scan()[0]

    assert is_accepted(), "the record itself is read"
    return flips(store.path(record.key), is_accepted, every)


def flip_predictions(root, key, told, every=1):
    store = Store(root)
    sha256 = predictions.put(store, key, told)

    def is_accepted():
        try:
            predictions.get(store, key, sha256)
        except StoreError:
            return False
        return True

    assert is_accepted(), "the predictions themselves are read"
    return flips(store.predictions_path(key, sha256), is_accepted, every)


def flip_baseline(root, every=1):
    path = root / "baseline.json"
    whole = baseline.read(REPOSITORY / "results" / "baselines" / "nightly.json")
    baseline.write(path, replace(whole, rows=whole.rows[:ROWS]))

    def is_accepted():
        try:
            baseline.read(path)
        except baseline.BadBaseline:
            return False
        return True

    assert is_accepted(), "the baseline itself is read"
    return flips(path, is_accepted, every)


def a_final(store: Store) -> Record:
    return next(record for _, record in sorted(store.scan()[0].items()) if record.kind == "final")


def flip_all(folder: Path):
    with scene(folder) as the_scene:
        store = Store(the_scene.unbroken / "results" / "small")
        final = a_final(store)
        told = predictions.get(store, final.key, final.final.predictions)
    with tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else folder) as alone:
        counts = {
            "final record": flip_record(Path(alone, "record"), final),
            "predictions": flip_predictions(Path(alone, "predictions"), final.key, told),
            f"baseline of {ROWS} rows": flip_baseline(Path(alone)),
        }
    table(("file", "flips", "accepted"), [(name, tried, len(accepted)) for name, (tried, accepted) in counts.items()])
    return [f"{name}: {len(accepted)} of {tried} flips accepted, the first at bits {accepted[:SHOWN]}"
            for name, (tried, accepted) in counts.items() if accepted]


if __name__ == "__main__":
    main(flip_all)
