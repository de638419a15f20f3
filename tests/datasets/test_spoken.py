"""The spoken digits: official split, speakers held out, and where they are looked for."""

import numpy as np
import pytest
import soundfile

from bench.catalogue import OptionProblems
from bench.datasets import parse_options
from bench.datasets.files import DataError
from bench.datasets.spoken import SPOKEN_DIGITS, SpokenOptions, facts, load
from bench.errors import Missing

SPEAKERS = ("ada", "bob", "cyd")


@pytest.fixture
def clips(tmp_path, monkeypatch):
    """Two digits by three speakers, seven clips of each, as published."""
    root = tmp_path / "data" / "spoken_digits" / "recordings"
    root.mkdir(parents=True)
    draw = np.random.default_rng(0)
    for digit in range(2):
        for speaker in SPEAKERS:
            for number in range(7):
                wave = draw.integers(-9000, 9000, 1000).astype(np.int16)
                soundfile.write(root / f"{digit}_{speaker}_{number}.wav", wave, 8000)
    monkeypatch.setenv("BENCH_DATA", str(tmp_path / "data"))
    return root


def test_the_first_five_of_each_digit_and_speaker_are_the_test_split(clips):
    found = facts(SpokenOptions())
    assert (found.num_train, found.num_test, found.num_shift, found.modality) == (12, 30, 0, "sound")
    assert found.notes[0] == ("not spoken_digits as it was published: 2 of 10 classes, 12 of 2,700 training clips, "
                              "30 of 300 test clips")
    loaded = load(SpokenOptions(rate=8000))
    first = soundfile.read(clips / "0_ada_0.wav", dtype="int16")[0]
    assert any(np.array_equal(row, first) for row in loaded.test.columns["wave"])
    assert not any(np.array_equal(row, first) for row in loaded.train.columns["wave"])


def test_speakers_that_are_held_out_are_the_shift_and_nothing_else(clips):
    options = SpokenOptions(rate=8000, held_out=["bob"])
    found, loaded = facts(options), load(options)
    assert (found.num_train, found.num_test, found.num_shift) == (8, 20, 14)
    assert "all clips of bob are in the split shift" in found.notes
    assert not any("published" in note for note in found.notes)
    theirs = {soundfile.read(path, dtype="int16")[0].tobytes() for path in clips.glob("*_bob_*.wav")}
    assert {row.tobytes() for row in loaded.shift.columns["wave"]} == theirs
    for split in (loaded.train, loaded.test):
        assert not {row.tobytes() for row in split.columns["wave"]} & theirs
    assert found.revision != facts(SpokenOptions(rate=8000)).revision


@pytest.mark.parametrize(("held_out", "told"), [
    (["bib"], r"^spoken_digits: held_out: no speaker 'bib'; did you mean 'bob'\? Known: ada, bob, cyd$"),
    (list(SPEAKERS), "nobody is left to learn from"),
])  # fmt: skip
def test_speakers_that_cannot_be_held_out(clips, held_out, told):
    with pytest.raises(DataError, match=told):
        facts(SpokenOptions(held_out=held_out))


def test_where_it_is_not_one_line_says_where_it_belongs(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_DATA", str(tmp_path))
    with pytest.raises(Missing, match=r"recordings"):
        facts(SpokenOptions())


def test_one_split_has_one_key(clips):
    one, other = (SpokenOptions(held_out=names) for names in (["cyd", "bob"], ["bob", "cyd"]))
    assert one == other
    with pytest.raises(OptionProblems, match="option 'held_out' of dataset 'spoken_digits': bob more"):
        parse_options(SPOKEN_DIGITS, {"held_out": ["bob", "ada", "bob"]})


def test_speakers_may_be_called_by_numbers_and_other_names_are_counted(clips):
    for digit in range(2):
        (clips / f"{digit}_ada_0.wav").rename(clips / f"{digit}_s07-b_0.wav")
    (clips / "0_ada_1.wav").rename(clips / "zero_ada_1.wav")
    found = facts(SpokenOptions(held_out=["s07-b"]))
    assert found.num_shift == 2
    assert "clips that are not called DIGIT_SPEAKER_NUMBER.wav, passed over: 1" in found.notes
