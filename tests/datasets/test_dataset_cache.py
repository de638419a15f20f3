"""A dataset is built once, opened often, and built again when what lies on the disk cannot be trusted."""

import contextlib
import json
import multiprocessing
import threading
from dataclasses import replace

import numpy as np
import pytest

from bench.datasets import DATASETS, cache, parse_options
from bench.datasets.cache import kept, kept_prints, load
from bench.datasets.overlap import overlap

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
    """Locks are gone when nobody holds them."""
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


def test_an_entry_is_read_once_until_a_file_changes(tmp_path, monkeypatch):
    reads, read = [], cache._Shelf.read

    def counted(shelf, prints_alone):
        reads.append(shelf.key)
        return read(shelf, prints_alone)

    monkeypatch.setattr(cache._Shelf, "read", counted)
    first = load("near", OPTIONS, tmp_path)
    assert load("near", OPTIONS, tmp_path) is first
    assert len(reads) == 1
    path = the_entry(tmp_path) / "test_labels.npy"
    path.write_bytes(path.read_bytes())  # the same content, but who knows
    assert load("near", OPTIONS, tmp_path).sha256 == first.sha256 == DATASETS["near"].load(OPTIONS).sha256
    assert len(reads) == 2


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


def change_labels(entry):
    """Half of them, as valid as before."""
    path = entry / "test_labels.npy"
    labels = np.load(path)
    labels[::2] = (labels[::2] + 1) % 10
    np.save(path, labels)


def flip(path, at, bit=0):
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)


def flip_a_pixel(entry):
    flip(entry / "test_images.npy", -1, 7)


def flip_a_label(entry):
    flip(entry / "train_labels.npy", -8)


def flip_a_print(entry):
    flip(entry / "train_prints.npy", -3)


def turn_the_bytes_of_prints(entry):
    """One bit of the header: the same bytes are other numbers."""
    path = entry / "test_prints.npy"
    path.write_bytes(path.read_bytes().replace(b"'<u8'", b"'>u8'"))


def exchange_labels_and_images_of_both_splits(entry):
    for part in ("images", "labels", "prints"):
        for one, other in (("train", "spare"), ("test", "train"), ("spare", "test")):
            (entry / f"{one}_{part}.npy").rename(entry / f"{other}_{part}.npy")


def edited(field, change):
    def edit(entry):
        path = entry / "about.json"
        about = json.loads(path.read_text())
        about[field] = change(about[field])
        path.write_text(json.dumps(about))

    edit.__name__ = f"edit_{field}"
    return edit


def no_folder_at_all(entry):
    for path in entry.iterdir():
        path.unlink()
    entry.rmdir()
    entry.write_text("a file")


@pytest.mark.parametrize("damage", [
    truncate, empty, lose_a_file, lose_the_prints, lose_the_description, tear_the_description, describe_something_else,
    list_instead_of_description, swap_the_arrays, overwrite_the_header, no_folder_at_all, change_labels, flip_a_pixel,
    flip_a_label, flip_a_print, turn_the_bytes_of_prints, exchange_labels_and_images_of_both_splits,
    edited("classes", lambda names: names[::-1]), edited("num_train", lambda _: 7),
    edited("sha256", lambda sha256: sha256[::-1]), edited("prints_sha256", lambda sha256: sha256[::-1]),
])
def test_a_damaged_entry_is_told_and_built_again(tmp_path, built, damage):
    sound, told = DATASETS["near"].load(OPTIONS), []
    load("near", OPTIONS, tmp_path)
    entry = the_entry(tmp_path)
    damage(entry)
    built.clear()
    revision = DATASETS["near"].facts(OPTIONS).revision
    assert kept("near", OPTIONS, tmp_path, revision) is None, "whoever only looks gets nothing from it"
    healed = load("near", OPTIONS, tmp_path, tell=told.append)
    assert same(healed, sound)
    assert healed.sha256 == sound.sha256
    assert all((getattr(healed, s).prints == getattr(sound, s).prints).all() for s in ("train", "test"))
    (line,) = told
    assert line.startswith(f"dataset near: what {entry} keeps of it is damaged (")
    assert line.endswith("; it is built anew")
    assert "\n" not in line
    assert len(built) == 1
    assert same(load("near", OPTIONS, tmp_path, tell=told.append), sound)
    assert len(built) == len(told) == 1
    assert the_entry(tmp_path).is_dir()


def test_no_flip_of_a_bit_changes_a_number_in_silence(tmp_path):
    """Every 11th bit of what describes the arrays, and some of the arrays."""
    options = parse_options(DATASETS["near"], {"train_per_class": 1, "test_per_class": 1})
    sound = load("near", options, tmp_path)
    shelf = cache._shelf(DATASETS["near"], options, tmp_path, DATASETS["near"].facts(options).revision)
    accepted = []
    for path in sorted(the_entry(tmp_path).iterdir()):
        before = path.read_bytes()
        head = len(before) if path.name == "about.json" else 128
        for place in [*range(0, 8 * head, 11), *range(8 * head, 8 * len(before), 9973)]:
            flip(path, place // 8, place % 8)
            with contextlib.suppress(cache._Damaged):
                found = shelf.open()
                assert same(found, sound), (path, place)
                assert found.sha256 == sound.sha256
                assert found.prints()[0].tobytes() == sound.prints()[0].tobytes()
                assert str(found.prints()[0].dtype) == "uint64"
                accepted.append(path.suffix)
            path.write_bytes(before)
    assert len(accepted) < 9, "`<u1` for `|u1`, say, which mean the same"


def looked_at(folder):
    return kept_prints("near", OPTIONS, folder, DATASETS["near"].facts(OPTIONS).revision)


def test_a_look_at_prints_reads_no_pictures(tmp_path, monkeypatch):
    assert looked_at(tmp_path) is None
    sound = load("near", OPTIONS, tmp_path)
    flip_a_pixel(the_entry(tmp_path))
    monkeypatch.setattr("bench.datasets.base.print_of", None)
    monkeypatch.setattr(cache.Dataset, "sha256", None)
    seen = looked_at(tmp_path)
    assert (seen.train.prints == sound.train.prints).all()
    assert all((mine == theirs).all() for mine, theirs in zip(seen.prints(5), sound.prints(5), strict=True))
    monkeypatch.undo()
    assert kept("near", OPTIONS, tmp_path, DATASETS["near"].facts(OPTIONS).revision) is None, "this one trains"


@pytest.mark.parametrize("damage", [
    lose_the_prints, flip_a_print, flip_a_label, turn_the_bytes_of_prints, lose_the_description,
    edited("classes", lambda names: names[::-1]),
])
def test_a_look_at_damaged_prints_or_labels_sees_nothing(tmp_path, damage):
    load("near", OPTIONS, tmp_path)
    damage(the_entry(tmp_path))
    assert looked_at(tmp_path) is None


def test_nothing_that_was_never_there_is_told(tmp_path):
    told = []
    load("near", OPTIONS, tmp_path, tell=told.append)
    assert told == []


def test_changed_prints_hide_no_overlap(tmp_path):
    """What a pretraining has in common with its target is told by prints alone."""
    first = load("near", OPTIONS, tmp_path)
    assert overlap(first, first).train == 30
    path = the_entry(tmp_path) / "train_prints.npy"
    np.save(path, np.load(path) + np.uint64(1))
    healed = load("near", OPTIONS, tmp_path, tell=lambda line: None)
    assert overlap(healed, DATASETS["near"].load(OPTIONS)).train == 30


def load_and_tell(folder, barrier, answers):
    told, builds, near = [], [], DATASETS["near"]
    DATASETS["near"] = replace(near, load=lambda options: builds.append(1) or near.load(options))
    barrier.wait(60)
    dataset = load("near", OPTIONS, folder, tell=told.append)
    answers.put((dataset.sha256, len(told), len(builds)))


def test_a_damaged_entry_is_built_by_one_process_while_others_wait(tmp_path):
    load("near", OPTIONS, tmp_path)
    sound = DATASETS["near"].load(OPTIONS)
    change_labels(the_entry(tmp_path))
    context = multiprocessing.get_context("fork")
    barrier, answers = context.Barrier(4), context.Queue()
    every = [context.Process(target=load_and_tell, args=(tmp_path, barrier, answers)) for _ in range(4)]
    for one in every:
        one.start()
    found = [answers.get(timeout=60) for _ in every]
    for one in every:
        one.join()
    assert {sha256 for sha256, *_ in found} == {sound.sha256}
    assert sum(told for _, told, _ in found) == sum(builds for *_, builds in found) == 1
    assert same(load("near", OPTIONS, tmp_path), sound)


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
    """Where the file system has no locks."""
    monkeypatch.setattr("bench.datasets.cache.locks.taking_turns", lambda path, tell: contextlib.nullcontext())
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


def test_a_folder_that_cannot_be_written_costs_only_the_cache(tmp_path, built):
    told = []
    (tmp_path / "file").write_text("in the way")
    dataset = load("near", OPTIONS, tmp_path / "file" / "cache", tell=told.append)
    assert same(dataset, DATASETS["near"].load(OPTIONS))
    assert told[0].startswith("dataset near is not kept")
