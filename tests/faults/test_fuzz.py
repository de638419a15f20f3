"""A short run of each fuzzer, and that a fuzzer would notice: the long ones are a command (`fuzz.py`)."""

import dataclasses

import pytest

from bench.datasets import npz_file
from bench.errors import BenchError
from tests.faults import fuzz
from tests.faults.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_two_hundred_damaged_files_are_read_or_refused(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tally = fuzz.fuzz(name, 200, 16, tmp_path / "kept")
    assert tally.examples == []
    assert tally.foreign == 0
    assert tally.tried == tally.refused + tally.accepted == 200
    assert min(tally.refused, tally.accepted) > 0, "nothing was damaged, or everything"
    assert tally.slowest < 10


@pytest.fixture
def fooled(tmp_path, monkeypatch):
    """Fuzzes predictions as `read` would read them; the exit code and what is printed."""

    def run(read, capsys):
        monkeypatch.setitem(TARGETS, "predictions", dataclasses.replace(TARGETS["predictions"], read=read))
        code = fuzz.main(["predictions", "--count", "50", "--keep", str(tmp_path)])
        return code, capsys.readouterr().out.splitlines()

    return run


@pytest.mark.parametrize("error", [KeyError("field"), TypeError("x"), BenchError("no such refusal")], ids=repr)
def test_a_foreign_exception_ends_with_1_and_keeps_its_file(fooled, capsys, tmp_path, error):
    def read(folder, name, data):
        if data not in (whole := TARGETS["predictions"].seeds(folder)).values():
            raise error
        assert whole

    code, lines = fooled(read, capsys)
    assert code == 1
    assert lines[0].startswith("predictions: 50 tried, 0 refused, ")
    assert f"{type(error).__name__} at test_fuzz.py:" in lines[1]
    assert len(list(tmp_path.iterdir())) == len(lines) - 1 == fuzz.SHOWN


def test_a_message_of_two_colours_is_foreign_too(fooled, capsys):
    def read(folder, name, data):
        if data not in TARGETS["predictions"].seeds(folder).values():
            raise ValueError("a file called \x1b[31m")

    assert "a message that does not stay on its line" in fooled(read, capsys)[1][1]


def test_what_never_ends_is_foreign(fooled, capsys, monkeypatch):
    monkeypatch.setattr(fuzz, "PATIENCE", 0.01)

    def read(folder, name, data):
        while data not in TARGETS["predictions"].seeds(folder).values():
            pass

    assert ": Late at " in fooled(read, capsys)[1][1]


def test_a_reader_of_arrays_that_never_ends_is_foreign(tmp_path, monkeypatch):
    """Though it takes every exception for damage."""
    seeds = TARGETS["npz"].seeds(tmp_path)
    checked = npz_file._checked

    def endless(archive, path):
        while path.read_bytes() not in seeds.values():
            pass
        return checked(archive, path)

    monkeypatch.setattr(fuzz, "PATIENCE", 0.05)
    monkeypatch.setattr(npz_file, "_checked", endless)
    tally = fuzz.fuzz("npz", 20, 0, tmp_path)
    assert any("Late at " in line for line in tally.examples)


def test_a_reader_that_refuses_undamaged_files_stops_the_fuzzer(fooled, capsys):
    def read(folder, name, data):
        raise ValueError("never")

    with pytest.raises(ValueError, match="never"):
        fooled(read, capsys)


def test_a_run_can_be_repeated(tmp_path, monkeypatch):
    """By its seed, file by file."""
    tried = []
    target = dataclasses.replace(TARGETS["npz"], read=lambda folder, name, data: tried.append((name, data)))
    monkeypatch.setitem(TARGETS, "npz", target)

    def run(seed):
        tried.clear()
        fuzz.fuzz("npz", 30, seed, tmp_path)
        return list(tried)

    assert run(1) == run(1) != run(2)
