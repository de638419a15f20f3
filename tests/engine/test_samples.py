"""The few examples of a data set that a run keeps for the page: whose they are, and that no number depends on them."""

import base64
import dataclasses
import io
import threading

import numpy as np
import pytest
from PIL import Image

from bench.datasets import DATASETS
from bench.datasets.base import Dataset, Split
from bench.datasets.tones import TonesOptions
from bench.datasets.tones import load as load_tones
from bench.engine.common import samples
from bench.engine.common.samples import CLASSES, EACH, TESTED, keep_samples, taken
from bench.modalities import MODALITIES
from bench.modalities.glimpse import CHARACTERS, GAP, SIDE, of_pictures, of_texts, of_waves
from bench.store.samples import KeptSamples, path_of
from tests.conftest import TinyOptions, tiny_load
from tests.engine import toys

pytestmark = pytest.mark.usefixtures("tiny")


def pixels(picture):
    """Of what follows `data:` in an address [H, W, 3]."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(picture.partition(",")[2]))).convert("RGB"))


def kept(context, ref=toys.DATA):
    return KeptSamples(path_of(context.store.root, ref))


def test_a_final_leaves_them_beside_its_record_and_moves_no_number(tmp_path):
    context, silent = toys.context(tmp_path / "a", samples=True), toys.context(tmp_path / "b")
    _, final = toys.everything(context, toys.fit_spec())
    _, other = toys.everything(silent, toys.fit_spec())
    assert toys.metrics(final) == toys.metrics(other), "the key and every number"
    assert kept(context).found is not None
    assert not (silent.store.root / "samples").exists()
    assert [one.name for one in kept(context).found.classes] == ["red", "green", "blue"]


def test_counts_and_pictures_are_those_of_the_data(tmp_path):
    data = tiny_load(TinyOptions())
    found = taken(data, is_resplit=False)
    assert [one.num_train for one in found.classes] == np.bincount(data.train.labels).tolist()
    assert [one.num_test for one in found.classes] == np.bincount(data.test.labels).tolist()
    assert found.num_tested == len(found.tested) == len(data.test.labels) <= TESTED
    times = SIDE // 8
    for one in found.tested[:5]:
        assert one.label == data.test.labels[one.place]
        assert np.array_equal(pixels(one.example.picture)[::times, ::times], data.test.images[one.place])
    stored = {image.tobytes(): label for image, label in zip(data.train.images, data.train.labels, strict=True)}
    for number, one in enumerate(found.classes):
        row = pixels(one.examples.picture)
        assert row.shape == (SIDE, EACH * (SIDE + GAP) - GAP, 3)
        assert one.num == EACH
        parts = [row[::times, start : start + SIDE : times] for start in range(0, row.shape[1], SIDE + GAP)]
        assert [stored[np.ascontiguousarray(part).tobytes()] for part in parts] == [number] * EACH


def test_many_classes_and_many_examples_are_capped():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (900, 8, 8, 3)).astype(np.uint8)
    split = Split.of_images(images, np.arange(900) % 20)
    found = taken(Dataset(tuple(map(str, range(20))), split, split), is_resplit=False)
    assert len(found.tested) == TESTED == 400
    assert found.num_tested == 900
    assert [one.examples is not None for one in found.classes] == [True] * CLASSES + [False] * 8
    assert len({one.label for one in found.tested}) == 20, "not the first ones, which may be of a few classes"
    assert found == taken(Dataset(tuple(map(str, range(20))), split, split), is_resplit=False)


def test_where_repeats_divide_all_examples_any_of_them_may_be_tested(tmp_path):
    context = toys.context(tmp_path, samples=True)
    for split in (11, 12):
        keep_samples(dataclasses.replace(toys.DATA, split=split), context)
    (path,) = (tmp_path / "suite" / "samples").glob("*.json")
    found = KeptSamples(path).found
    pool = tiny_load(TinyOptions()).pool
    assert found.num_tested == len(pool.labels)
    assert max(one.place for one in found.tested) >= len(tiny_load(TinyOptions()).test.labels)
    assert all(one.label == pool.labels[one.place] for one in found.tested)


def test_another_part_of_a_set_has_a_file_of_its_own(tmp_path):
    part = dataclasses.replace(toys.DATA, classes=(0, 2), num_classes=2)
    assert path_of(tmp_path, part) != path_of(tmp_path, toys.DATA)
    assert path_of(tmp_path, dataclasses.replace(toys.DATA, revision="tiny-9")) != path_of(tmp_path, toys.DATA)
    context = toys.context(tmp_path, samples=True)
    keep_samples(part, context)
    assert [one.name for one in kept(context, part).found.classes] == ["red", "blue"]


def test_it_is_looked_at_once_for_each_set_and_process(tmp_path, monkeypatch):
    context = toys.context(tmp_path, samples=True)
    keep_samples(toys.DATA, context)
    before = kept(context).path.read_bytes()
    asked = []
    monkeypatch.setattr(samples, "taken", lambda *_: asked.append("again"))
    keep_samples(toys.DATA, context)
    keep_samples(toys.DATA, toys.context(tmp_path, samples=True))  # another process finds the file
    assert asked == []
    assert kept(context).path.read_bytes() == before


def test_a_damaged_file_is_told_and_made_anew(tmp_path):
    context = toys.context(tmp_path, samples=True)
    keep_samples(toys.DATA, context)
    before = kept(context).path.read_bytes()
    kept(context).path.write_bytes(before[:-7])
    said = []
    keep_samples(toys.DATA, toys.context(tmp_path, samples=True, notice=said.append))
    assert kept(context).path.read_bytes() == before
    assert len(said) == 1
    assert "damaged" in said[0]


def test_runners_at_the_same_time_leave_one_whole_file(tmp_path):
    contexts = [toys.context(tmp_path, samples=True) for _ in range(6)]
    threads = [threading.Thread(target=keep_samples, args=(toys.DATA, one)) for one in contexts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    files = [path for path in (tmp_path / "suite" / "samples").iterdir() if not path.name.endswith(".lock")]
    assert files == [kept(contexts[0]).path]
    assert kept(contexts[0]).found == taken(tiny_load(TinyOptions()), is_resplit=False)


def test_a_failure_costs_no_score_and_says_why(tmp_path, monkeypatch):
    def fail(_):
        raise ValueError("a picture that is none")

    said = []
    monkeypatch.setitem(MODALITIES, "image", dataclasses.replace(MODALITIES["image"], glimpse=fail))
    _, final = toys.everything(toys.context(tmp_path, samples=True, notice=said.append), toys.fit_spec())
    assert final.status == "ok"
    assert said == ["tiny: no examples could be kept for the page: ValueError: a picture that is none"]


def test_a_modality_that_shows_nothing_still_names_its_classes(monkeypatch):
    monkeypatch.setitem(MODALITIES, "image", dataclasses.replace(MODALITIES["image"], glimpse=None))
    found = taken(tiny_load(TinyOptions()), is_resplit=False)
    assert [one.name for one in found.classes] == ["red", "green", "blue"]
    assert found.tested == []


@pytest.mark.parametrize("name", ["tones", "sentences_near"])
def test_every_modality_that_comes_along_shows_something(name):
    if name == "tones":
        data = load_tones(TonesOptions(train_per_class=5, test_per_class=2))
    else:
        entry = DATASETS[name]
        data = entry.load(entry.options())
    found = taken(data, is_resplit=False)
    shown = [found.classes[0].examples, *(one.example for one in found.tested)]
    if name == "tones":
        sizes = [pixels(one.picture).shape[:2] for one in shown]
        assert sizes == [(SIDE, EACH * (SIDE + GAP) - GAP), *[(SIDE, SIDE)] * len(found.tested)]
    else:
        assert [len(one.texts) for one in shown] == [EACH, *[1] * len(found.tested)]
    assert all(len(str(one)) < 2500 for one in shown[1:])


def test_pictures_are_small_and_keep_their_shape():
    large = np.zeros((2, 300, 200, 3), np.uint8)
    large[:, :150] = 200
    (found,) = [pixels(of_pictures(large).picture)]
    assert found.shape == (SIDE, 2 * 32 + GAP, 3)
    assert abs(int(found[8, :30].mean()) - 200) < 6
    assert found[40, :30].mean() < 6
    noise = np.random.default_rng(0).integers(0, 255, (4, 224, 224, 3)).astype(np.uint8)
    assert len(of_pictures(noise).picture) < 20_000, "the worst of all pictures"


def test_texts_are_cut_and_pairs_are_told_apart():
    stored = np.zeros((3, 400), np.uint8)
    for row, text in enumerate([b"one\n two\x1ethree", b"long " * 70, b"\xff\xc3"]):
        stored[row, : len(text)] = np.frombuffer(text, np.uint8)
    found = of_texts(stored).texts
    assert found[0] == "one two / three"
    assert len(found[1]) == CHARACTERS
    assert found[1].endswith("…")
    assert found[2] == "\ufffd\ufffd"


def test_a_clip_is_its_spectrum_over_time():
    """A tone of 500 Hz in the first half, of 4 kHz in the second: two bright stretches, the second one higher up, where
    scipy finds them too."""
    signal = pytest.importorskip("scipy.signal")
    rate, times = 16_000, np.arange(16_000) / 16_000
    wave = (9000 * np.sin(2 * np.pi * np.where(times < 0.5, 500, 4000) * times)).astype(np.int16)
    found = pixels(of_waves(wave[None]).picture)[:, :, 0]
    assert found.shape == (SIDE, SIDE)
    heights = SIDE - 1 - found.argmax(0)
    frequencies, _, theirs = signal.spectrogram(wave.astype(float), rate, "hann", 1024, mode="magnitude")
    for column, moment in ((8, 2), (40, -3)):
        loudest = frequencies[theirs[:, moment].argmax()] * 1024 / rate
        band = np.searchsorted(np.geomspace(2, 513, SIDE + 1), loudest, side="right") - 1
        assert abs(int(heights[column]) - int(band)) <= 1
    assert found[:, 8].max() > 230
    assert np.median(found[:, 8]) < 60


def test_silence_and_the_shortest_clips_have_a_picture():
    assert pixels(of_waves(np.zeros((1, 5000), np.int16)).picture).max() == 0
    assert pixels(of_waves(np.full((2, 7), -32768, np.int16)).picture).shape == (SIDE, 2 * SIDE + GAP, 3)
