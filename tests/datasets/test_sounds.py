"""Clips from files: scale, rate, length, mixing; what is told of them, and what is refused in one line."""

import io
import struct
import sys
import time
import tracemalloc
from itertools import product

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.signal import resample_poly

from bench.datasets import sounds
from bench.datasets.files import DataError
from bench.datasets.folder import FolderOptions, facts, load, scan
from bench.datasets.manifest import TableOptions
from bench.datasets.manifest import facts as table_facts
from bench.datasets.manifest import load as load_table

RATE = 8000


def tone(seconds=0.5, hertz=440.0, rate=RATE, loud=0.5):
    return (loud * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


@pytest.fixture
def folder(tmp_path):
    """Two classes, low and high; a function that writes one more clip."""

    def write(name, wave, rate=RATE, **how):
        path = tmp_path / "clips" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, wave, rate, **how)
        return path

    for number in range(5):
        write(f"low/{number}.wav", tone(hertz=200 + number))
        write(f"high/{number}.wav", tone(hertz=2000 + number))
    return tmp_path / "clips", write


def options(root, **changes):
    return FolderOptions(path=str(root), **{"rate": RATE, **changes})


def decoded(path, milliseconds=500, rate=RATE):
    return sounds.decode([path], milliseconds, rate)


@pytest.mark.parametrize(("subtype", "step"), [("PCM_16", 0), ("PCM_24", 1), ("PCM_U8", 256), ("FLOAT", 1),
                                               ("DOUBLE", 1), ("PCM_32", 1)])  # fmt: skip
def test_every_width_of_samples_comes_to_the_same_scale(folder, subtype, step):
    """16 bits come as they are in the file; others to the nearest step that they have."""
    _, write = folder
    whole = np.round(tone() * 32767).astype(np.int16)
    wave = whole if subtype == "PCM_16" else whole / 32768
    found = decoded(write("low/own.wav", wave, subtype=subtype)).wave[0].astype(int)
    assert np.abs(found - whole).max() <= step
    assert np.abs(found).max() > 16000


def test_channels_are_mixed_and_other_rates_are_resampled_as_scipy_does_it(folder):
    root, write = folder
    left, right = tone(hertz=300), tone(hertz=500)
    path = write("low/both.wav", np.stack([left, right], 1), subtype="FLOAT")
    assert np.abs(decoded(path).wave[0] - (left + right) / 2 * 32768).max() <= 1
    twice = decoded(write("low/fast.wav", tone(rate=16000, hertz=300), 16000, subtype="FLOAT")).wave[0] / 32768
    ours, theirs = twice[400:-400], resample_poly(tone(rate=16000, hertz=300).astype(float), 1, 2)[400:-400]
    assert np.abs(ours - theirs).max() < 2e-3
    notes = " ".join(facts(options(root)).notes)
    assert "1 of 12 clips have several channels and are mixed to one" in notes
    assert "1 of 12 clips have 16,000 Hz and are brought to 8,000 Hz" in notes


def test_the_middle_of_a_long_clip_and_silence_around_a_short_one(folder):
    _, write = folder
    ramp = np.arange(-8000, 8000, dtype=np.int16)
    found = decoded(write("low/long.wav", ramp), 500).wave[0]
    np.testing.assert_array_equal(found, ramp[6000:10000])
    found = decoded(write("low/short.wav", np.full(1000, 77, np.int16)), 500).wave[0]
    np.testing.assert_array_equal(np.flatnonzero(found), np.arange(1500, 2500))
    assert set(found[1500:2500]) == {77}


def test_a_folder_by_class_with_the_longest_clip_and_what_is_told(folder):
    root, write = folder
    write("low/long.wav", tone(12.0))
    write("high/silent.wav", np.zeros(800, np.int16))
    write("high/loud.wav", tone(loud=1.5), subtype="FLOAT")
    found = facts(options(root))
    assert (found.modality, found.classes, found.image_size) == ("sound", ("high", "low"), 10_000)
    for text in ("1 of 13 clips are silent", "1 of 13 clips are longer than 10 s and are cut to their middle",
                 "1 of 13 clips are louder than full scale and are clipped"):  # fmt: skip
        assert text in found.notes
    loaded = load(options(root, seconds=0.25))
    assert loaded.train.columns["wave"].shape[1] == 2000
    assert set(loaded.train.columns["rate"]) == {RATE}
    assert len(loaded.train.labels) + len(loaded.test.labels) == 13


def test_without_options_clips_have_16_kHz_and_the_options_are_in_no_older_key(folder):
    root, _ = folder
    plain = FolderOptions(path=str(root))
    assert load(plain).train.columns["wave"].shape[1] == 8000
    assert set(plain.in_key()) == {"path", "side", "fit", "test_share", "split_seed"}
    assert {"rate", "seconds"} <= set(options(root, seconds=1.0).in_key())


def test_a_table_of_paths_of_clips(folder, tmp_path):
    rows = [f"clips/{name}/{number}.wav,{name}" for name in ("low", "high") for number in range(5)]
    table = tmp_path / "clips.csv"
    table.write_text("path,label\n" + "\n".join(rows))
    loaded = load_table(TableOptions(path=str(table), rate=RATE))
    assert loaded.train.modality == "sound"
    assert loaded.classes == ("high", "low")


@pytest.mark.parametrize(("suffix", "how"), [(".flac", {}), (".ogg", {}), (".mp3", {})])
def test_other_forms_of_file(folder, suffix, how):
    _, write = folder
    found = decoded(write(f"low/other{suffix}", tone(), **how)).wave[0].astype(float)
    expected = tone() * 32768
    assert np.corrcoef(found[500:-500], expected[500:-500])[0, 1] > 0.99


def test_the_same_clip_in_another_form_and_cut_elsewhere_has_the_same_print(folder):
    _, write = folder
    wave = np.round(tone() * 32767).astype(np.int16)
    one, other = write("low/a.wav", wave), write("low/a.flac", wave)
    assert decoded(one, 500).wholes[0] == decoded(other, 250, 16_000).wholes[0]
    assert decoded(one).wholes[0] != decoded(write("low/b.wav", wave[1:])).wholes[0]


def wav(wave, declared=None):
    raw = io.BytesIO()
    soundfile.write(raw, wave, RATE, format="WAV", subtype="PCM_16")
    content = bytearray(raw.getvalue())
    if declared is not None:
        place = content.index(b"data")
        content[place + 4 : place + 8] = struct.pack("<I", declared)
    return bytes(content)


def flac(wave, declared=None):
    """`declared`: how many samples its head tells of, 36 bits of it."""
    raw = io.BytesIO()
    soundfile.write(raw, wave, RATE, format="FLAC", subtype="PCM_16")
    content = bytearray(raw.getvalue())
    if declared is not None:
        content[21] = (content[21] & 0xF0) | (declared >> 32)
        content[22:26] = struct.pack(">I", declared & 0xFFFFFFFF)
    return bytes(content)


HOURS = 3600 * RATE
BAD = {
    "empty": (b"", "an empty file"),
    "text": (b"<html>no sound</html>" * 20, "damaged, or no sound that can be read"),
    "truncated": (wav(tone())[:3000], "5,044 bytes of its sound are missing"),
    "lying wav": (wav(tone(), 2 * 10 * HOURS), "bytes of its sound are missing"),
    "lying flac": (flac(tone(), 10 * HOURS), "damaged"),
    "torn flac": (flac(tone())[:-900], "damaged"),
    "no samples": (wav(np.zeros(0, np.float32)), "no samples in it"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_sound_is_named_in_one_line_with_bounded_time_and_memory(folder, name):
    root, _ = folder
    content, expected = BAD[name]
    path = root / "low" / ("bad.flac" if "flac" in name else "bad.wav")
    path.write_bytes(content)
    tracemalloc.start()
    start = time.process_time()
    with pytest.raises(DataError, match=expected) as error:
        facts(options(root))
    assert "bad." in str(error.value)
    assert "\n" not in str(error.value)
    assert time.process_time() - start < 5
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()
    with pytest.raises(DataError, match=expected):
        decoded(path)


def test_other_units_and_no_numbers_are_refused(folder):
    root, write = folder
    for wave, told in ((tone() * 32767, "values up to 16"), (np.full(100, np.nan, np.float32), "values up to nan")):
        path = write("low/own.wav", wave, subtype="FLOAT")
        with pytest.raises(DataError, match=told):
            decoded(path)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([wav(tone(0.05)), flac(tone(0.05))]), st.data())
def test_any_head_is_read_or_refused(place, content, data):
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, 63))] = data.draw(st.integers(0, 255))
    path = place / "clip.bin"
    path.write_bytes(bytes(changed))
    start = time.process_time()
    try:
        found = decoded(path, 100)
        assert found.wave.shape == (1, 800)
    except DataError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either is right
    assert time.process_time() - start < 5


def test_where_the_library_is_missing_one_line_says_which_extra(folder, monkeypatch):
    root, _ = folder
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(DataError, match=r"^clips are read by .* soundfile: pip install 'transfer-bench\[audio\]'$"):
        facts(options(root))


@pytest.mark.parametrize(("beside", "modality"), [
    (["low/{n}.txt", "high/{n}.txt"], "sound"),
    (["low/{n}.json", "low/{n}.lab", "high/{n}.json", "high/{n}.lab"], "sound"),
    (["low/cover.jpg"], "sound"),
    (["low/{n}.png", "low/{n}.jpg", "high/{n}.png"], "image"),
])  # fmt: skip
def test_what_lies_beside_clips_leaves_them_clips(folder, beside, modality):
    root, _ = folder
    for number in range(5):
        for name in beside:
            (root / name.format(n=number)).write_text("what is said")
    assert scan(root).modality == modality


@pytest.mark.parametrize(("suffix", "word", "option", "value", "of"), [
    ("txt", "texts", "seconds", 2.0, "clips"), ("txt", "texts", "side", 32, "pictures"),
    ("png", "pictures", "rate", 8_000, "clips"), ("wav", "clips", "fit", "squash", "pictures"),
])  # fmt: skip
def test_options_of_other_data_are_refused(tmp_path, suffix, word, option, value, of):
    for label, number in product("ab", range(3)):
        (tmp_path / "set" / label).mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / label / f"{number}.{suffix}").write_text("what is said")
    with pytest.raises(DataError, match=f"set: the option `{option}` is for {of}, and these are {word}"):
        facts(FolderOptions(path=str(tmp_path / "set"), **{option: value}))


@pytest.mark.parametrize(("form", "endian"), [
    ("AIFF", "FILE"), ("AU", "BIG"), ("AU", "LITTLE"), ("RF64", "FILE"), ("WAV", "LITTLE"), ("WAV", "BIG"),
])  # fmt: skip
def test_a_file_that_was_cut_in_half_is_damaged_whatever_its_form(tmp_path, form, endian):
    path = tmp_path / "clip.wav"
    soundfile.write(path, tone(), RATE, format=form, subtype="PCM_16", endian=endian)
    whole = path.read_bytes()
    assert np.abs(decoded(path).wave).max() > 16000
    path.write_bytes(whole[: len(whole) // 2])
    lacking = len(whole) - len(whole) // 2
    with pytest.raises(DataError, match=rf"{lacking:,} bytes of its sound are missing"):
        decoded(path)


def test_zeros_behind_a_head_are_looked_through_for_a_while(tmp_path):
    path = tmp_path / "clip.wav"
    path.write_bytes(wav(tone())[:12] + bytes(20_000_000))
    start = time.process_time()
    with pytest.raises(DataError, match="no sound that can be read"):
        decoded(path)
    assert time.process_time() - start < 1


def test_three_steps_of_16_bits_are_silence(folder):
    root, write = folder
    write("low/three.wav", np.full(800, 3, np.int16))
    write("low/four.wav", np.full(800, 4, np.int16))
    assert "1 of 12 clips are silent" in facts(options(root)).notes


def test_a_clip_s_length_is_looked_for_once(folder, monkeypatch):
    root, _ = folder
    asked = []
    monkeypatch.setattr(sounds, "milliseconds_of", lambda kept, seconds: asked.append(1) or 500)
    facts(options(root))
    assert len(asked) == 1


def test_a_table_of_clips_speaks_of_clips(folder, tmp_path):
    rows = [f"clips/{name}/{number}.wav,{name},{'val' if number == 4 else 'train'}"
            for name in ("low", "high") for number in range(5)]  # fmt: skip
    table = tmp_path / "clips.csv"
    table.write_text("path,label,split\n" + "\n".join(rows))
    assert "validation clips were added to the training clips" in table_facts(TableOptions(path=str(table))).notes
    table.write_text("path,label\n" + "\n".join(row.rpartition(",")[0] for row in [*rows, "clips/low/0.wav,,train"]))
    with pytest.raises(DataError, match="1 rows lack a clip or a label$"):
        table_facts(TableOptions(path=str(table)))
