"""Nobody changes a pixel without bumping `REVISION`.

Stored: one image of each class in its world's own style, as a 4x4 thumbnail of weighted channel means. Not a digest of
the pixels: sines differ in the last bit between processors, which moves a pixel by one level here and there; a mean
over 64 pixels hardly notices that, and any real change moves it by more. After bumping, run this file to store anew.
"""

import json
from pathlib import Path

import numpy as np

from bench.datasets.rendered import RENDERED, REVISION

STORED = Path(__file__).with_name("rendered_golden.json")
TOLERANCE = 0.15  # grey levels; stored to one decimal
CHANNELS = (0.5, 0.3, 0.2)  # unequal, so that swapped channels show


def thumbnails():
    found = {}
    for name, entry in RENDERED.items():
        dataset = entry.load(entry.options(train_per_class=1, test_per_class=1))
        blocks = (dataset.train.images @ np.array(CHANNELS)).reshape(-1, 4, 8, 4, 8).mean(axis=(2, 4))
        for label, kind in enumerate(dataset.classes):
            found[f"{name}/{kind}"] = np.round(blocks[label].ravel(), 1).tolist()
    return found


def test_pixels_are_those_of_this_revision():
    stored = json.loads(STORED.read_text())
    assert stored["revision"] == REVISION, "REVISION was bumped: run this file to store the new thumbnails"
    found = thumbnails()
    assert found.keys() == stored["thumbnails"].keys()
    moved = [k for k, v in found.items() if np.abs(np.subtract(v, stored["thumbnails"][k])).max() > TOLERANCE]
    assert not moved, f"pixels changed: bump REVISION in bench/datasets/rendered.py, then run this file ({moved})"


if __name__ == "__main__":
    lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in thumbnails().items())
    STORED.write_text(f'{{"revision": {REVISION}, "thumbnails": {{\n{lines}\n}}}}\n')
