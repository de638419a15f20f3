"""Pictures on disk for tests: small, and each class of its own colour."""

import numpy as np
from PIL import Image

COLOURS = {"ant": (200, 30, 30), "bee": (30, 200, 30), "cat": (30, 30, 200)}


def picture(colour, size=(20, 12), seed=0):
    noise = np.random.default_rng(seed).integers(0, 40, (size[1], size[0], 3))
    return Image.fromarray((np.array(colour) + noise - 20).astype(np.uint8))


def class_folders(root, classes=("ant", "bee"), per_class=10, start=0):
    """root/CLASS/0.png ...; `start` moves the noise, so that two splits share no image."""
    for name in classes:
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            picture(COLOURS[name], seed=start + number).save(root / name / f"{number}.png")
    return root
