"""A dataset is built once, opened often, and built again when what lies on the disk cannot be trusted."""

import json
import logging
import threading
from dataclasses import replace

import numpy as np
import pytest

from bench.datasets import DATASETS, parse_options
from bench.datasets.cache import load

OPTIONS = parse_options(DATASETS["near"], {"train_per_class": 3, "test_per_class": 2})


@pytest.fixture
def built(monkeypatch):
    """The loads that reached the loader instead of the disk."""
    calls = []
    near = DATASETS["near"]

    def counted(options):
        calls.append(options)
        return near.load(options)

    monkeypatch.setitem(DATASETS, "near", replace(near, load=counted))
    return calls


def the_entry(folder):
    (entry,) = folder.iterdir()
    return entry


def same(a, b):
    return a.classes == b.classes and all(
        (getattr(getattr(a, split), part) == getattr(getattr(b, split), part)).all()
        for split in ("train", "test")
        for part in ("images", "labels")
    )


def test_a_second_load_maps_what_the_first_built(tmp_path, built):
    first, second = (load("near", OPTIONS, tmp_path) for _ in range(2))
    assert len(built) == 1
    assert same(first, second)
    assert same(first, DATASETS["near"].load(OPTIONS))
    for dataset in (first, second):
        assert isinstance(dataset.train.images, np.memmap)
        assert not dataset.train.images.flags.writeable


def test_the_digest_is_kept_not_computed(tmp_path):
    load("near", OPTIONS, tmp_path)
    dataset = load("near", OPTIONS, tmp_path)
    assert vars(dataset)["sha256"] == dataset.sha256 == DATASETS["near"].load(OPTIONS).sha256


def test_prints_are_kept_not_computed(tmp_path, monkeypatch):
    load("near", OPTIONS, tmp_path)
    monkeypatch.setattr("bench.datasets.base.print_of", None)
    dataset = load("near", OPTIONS, tmp_path)
    monkeypatch.undo()
    fresh = DATASETS["near"].load(OPTIONS)
    assert (dataset.train.prints == fresh.train.prints).all()
    assert dataset.test.prints.shape == (20, 2)


def lose_the_prints(entry):
    (entry / "test_prints.npy").unlink()


def test_options_and_revision_are_other_entries(tmp_path, built, monkeypatch):
    load("near", OPTIONS, tmp_path)
    load("near", OPTIONS.model_copy(update={"seed": 1}), tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    near = DATASETS["near"]
    monkeypatch.setitem(DATASETS, "near", replace(near, facts=lambda o: replace(near.facts(o), revision="new")))
    load("near", OPTIONS, tmp_path)
    assert len(list(tmp_path.iterdir())) == len(built) == 3


@pytest.fixture
def divided(monkeypatch):
    """The set came in one split."""
    near = DATASETS["near"]
    monkeypatch.setitem(DATASETS, "near", replace(near, load=lambda o: replace(near.load(o), is_divided=True)))
    return near.load(OPTIONS)


def test_images_that_came_in_one_split_lie_in_one_file(tmp_path, divided):
    loaded = load("near", OPTIONS, tmp_path)
    names = {path.name for path in the_entry(tmp_path).iterdir()}
    assert names == {"about.json", "pool_images.npy", "pool_labels.npy", "pool_prints.npy"}
    assert loaded.is_divided
    assert same(loaded, divided)
    assert loaded.sha256 == divided.sha256
    for mine, theirs in ((loaded.pool, divided.pool), (loaded.train, divided.train), (loaded.test, divided.test)):
        assert (mine.images == theirs.images).all()
        assert (mine.prints == theirs.prints).all()
    assert np.shares_memory(loaded.pool.images, loaded.test.images)


def test_an_entry_from_before_divisions_is_built_again(tmp_path, monkeypatch, request):
    """It has two splits and does not tell that they were one; every worker would copy it to have a pool."""
    monkeypatch.setattr("bench.datasets.cache.FORMAT", 2)
    load("near", OPTIONS, tmp_path)
    monkeypatch.undo()
    request.getfixturevalue("divided")
    loaded = load("near", OPTIONS, tmp_path)
    assert loaded.is_divided
    assert np.shares_memory(loaded.pool.images, loaded.test.images), "no copy"


def test_prints_follow_a_division(tmp_path, divided):
    loaded = load("near", OPTIONS, tmp_path)
    train, test = loaded.divided(5)
    prints = loaded.prints(5)
    assert (prints[0] == loaded.pool.prints[train]).all()
    assert (prints[1] == loaded.pool.prints[test]).all()
    assert (loaded.prints()[1] == loaded.test.prints).all()


@pytest.mark.parametrize("name", ["pool_images.npy", "pool_labels.npy", "pool_prints.npy"])
def test_one_damaged_file_of_one_split_is_built_again(tmp_path, divided, name):
    load("near", OPTIONS, tmp_path)
    path = the_entry(tmp_path) / name
    path.write_bytes(path.read_bytes()[:-1])
    assert same(load("near", OPTIONS, tmp_path), divided)
    assert path.stat().st_size > 0


def truncate(entry):
    path = entry / "train_images.npy"
    path.write_bytes(path.read_bytes()[:-100])


def empty(entry):
    (entry / "test_labels.npy").write_bytes(b"")


def lose_a_file(entry):
    (entry / "train_labels.npy").unlink()


def lose_the_description(entry):
    (entry / "about.json").unlink()


def tear_the_description(entry):
    path = entry / "about.json"
    path.write_text(path.read_text()[:50])


def describe_something_else(entry):
    path = entry / "about.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "identity": ["other"]}))


def list_instead_of_description(entry):
    (entry / "about.json").write_text("[]")


def swap_the_arrays(entry):
    np.save(entry / "train_labels.npy", np.load(entry / "train_labels.npy").astype(np.float64))


def overwrite_the_header(entry):
    path = entry / "test_images.npy"
    path.write_bytes(b"<html>" + path.read_bytes()[6:])


def no_folder_at_all(entry):
    for path in entry.iterdir():
        path.unlink()
    entry.rmdir()
    entry.write_text("a file")


@pytest.mark.parametrize("damage", [
    truncate, empty, lose_a_file, lose_the_prints, lose_the_description, tear_the_description, describe_something_else,
    list_instead_of_description, swap_the_arrays, overwrite_the_header, no_folder_at_all,
])
def test_a_damaged_entry_is_built_again(tmp_path, built, damage):
    sound = DATASETS["near"].load(OPTIONS)
    load("near", OPTIONS, tmp_path)
    damage(the_entry(tmp_path))
    built.clear()
    assert same(load("near", OPTIONS, tmp_path), sound)
    assert len(built) == 1
    assert same(load("near", OPTIONS, tmp_path), sound)
    assert len(built) == 1
    assert the_entry(tmp_path).is_dir()


def test_a_builder_that_died_leaves_nothing_that_counts(tmp_path, built, monkeypatch):
    def die(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("bench.datasets.cache.json.dump", die)
    with pytest.raises(KeyboardInterrupt):
        load("near", OPTIONS, tmp_path)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    assert load("near", OPTIONS, tmp_path).sha256 == DATASETS["near"].load(OPTIONS).sha256


def test_builders_at_the_same_time_do_no_harm(tmp_path, monkeypatch):
    near, together, found = DATASETS["near"], threading.Barrier(4), []

    def all_at_once(options):
        together.wait(timeout=20)
        return near.load(options)

    monkeypatch.setitem(DATASETS, "near", replace(near, load=all_at_once))
    threads = [threading.Thread(target=lambda: found.append(load("near", OPTIONS, tmp_path))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(same(dataset, found[0]) for dataset in found)
    assert the_entry(tmp_path).is_dir()


def test_a_folder_that_cannot_be_written_costs_only_the_cache(tmp_path, built, caplog):
    (tmp_path / "file").write_text("in the way")
    with caplog.at_level(logging.WARNING):
        dataset = load("near", OPTIONS, tmp_path / "file" / "cache")
    assert same(dataset, DATASETS["near"].load(OPTIONS))
    assert "dataset near is not kept" in caplog.text
