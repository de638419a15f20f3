"""Files that lie under a run are damaged: each damage is told, healed, and moves no number. Real commands."""

import json
import shutil

import numpy as np
import pytest

from tests.execute.running import contents, finish, record_files


def entry_of(place, name):
    """Of the dataset cache."""
    return next(
        path.parent
        for path in place.glob("results/.cache/*/about.json")
        if json.loads(path.read_text())["identity"][1] == name
    )


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def change_labels(place):
    """Half of the test labels, all as valid as before. Every final would be wrong."""
    path = entry_of(place, "near") / "test_labels.npy"
    labels = np.load(path)
    labels[::2] = (labels[::2] + 1) % 10
    np.save(path, labels)


def change_pixels(place):
    path = entry_of(place, "near") / "test_images.npy"
    data = bytearray(path.read_bytes())
    data[128::2] = bytes(value ^ 0x80 for value in data[128::2])
    path.write_bytes(data)


def drop_finals(place):
    """And what they would not read again."""
    finals = [path for path in record_files(place) if json.loads(path.read_text())["kind"] == "final"]
    for path in finals:
        path.unlink()
    return len(finals)


def features(place):
    return sorted(place.glob("results/.cache/features/[!.]*"))


@pytest.mark.parametrize("damage", [change_labels, change_pixels])
def test_a_damaged_dataset_is_told_healed_and_moves_no_number(launcher, unbroken, copied, damage):
    damage(copied)
    shutil.rmtree(copied / "results" / ".cache" / "features")
    dropped = drop_finals(copied)
    command = launcher.run(copied)
    assert finish(command)["trainings"] == dropped
    assert contents(copied) == contents(unbroken[0])
    told = [line for line in command.stderr.splitlines() if "is built anew" in line]
    assert len(told) == 1, command.stderr
    assert told[0].startswith("dataset near: what ")


def test_workers_tell_through_the_runner(launcher, unbroken, copied):
    """Nothing was learned before, so the runner itself has no reason to look at the images."""
    change_labels(copied)
    drop_finals(copied)
    command = launcher.run(copied, "--filter", "strategy=scratch")
    assert finish(command)["trainings"] == 2
    kept = json.loads(contents(copied))
    assert kept.items() <= json.loads(contents(unbroken[0])).items()
    assert command.stderr.count("dataset near: what ") == 1


def test_everything_damaged_at_once_is_told_and_healed(launcher, unbroken, copied):
    kept = features(copied)
    harms = [lambda data: data[: len(data) // 2], lambda data: data[:-1] + bytes([data[-1] ^ 1]), lambda data: b""]
    for harm, path in zip(harms, kept, strict=True):
        path.write_bytes(harm(path.read_bytes()))
    flip(entry_of(copied, "near") / "train_prints.npy", -1)
    about = entry_of(copied, "source") / "about.json"
    about.write_text(about.read_text().replace('"num_train": null', '"num_train": 40'))
    (weights,) = copied.glob("results/pretrained/weights/*/*")
    flip(weights, weights.stat().st_size // 2)
    drop_finals(copied)
    command = launcher.run(copied)
    assert finish(command)["failed"] == 0
    assert contents(copied) == contents(unbroken[0])
    for words in ("dataset near: what ", "dataset source: what ", "weights damaged: ", "they are computed anew"):
        assert words in command.stderr


def test_features_that_were_exchanged_are_told_and_computed_anew(launcher, unbroken, copied):
    """Files of equal shape."""
    sizes = {}
    for path in features(copied):
        sizes.setdefault(path.stat().st_size, []).append(path)
    first, second, *_ = max(sizes.values(), key=len)
    both = first.read_bytes(), second.read_bytes()
    first.write_bytes(both[1])
    second.write_bytes(both[0])
    drop_finals(copied)
    command = launcher.run(copied)
    finish(command)
    assert contents(copied) == contents(unbroken[0])
    assert "another table under this name" in command.stderr
