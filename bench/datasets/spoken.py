"""`spoken_digits`, the Free Spoken Digit Dataset: digits by six speakers, one clip a file, `{digit}_{speaker}_{n}.wav`.

The official test split is n < 5 of every digit and speaker. Speakers that are held out are in neither split: all of
their clips are the split `shift`.
"""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

from pydantic import field_validator

from bench.datasets import labelled
from bench.datasets.base import Dataset, DatasetEntry, DatasetFacts, PublicSize
from bench.datasets.files import DataError, is_suffix_of, listed, shown, visible
from bench.datasets.labelled import Labelled, PictureOptions
from bench.errors import Missing, nearest
from bench.places import DATA, data_folders

NAME = "spoken_digits"
FOLDERS = (NAME, "free-spoken-digit-dataset", "fsdd")
RECORDINGS = "recordings"
CLIP = re.compile(r"(\d)_([^_]+)_(\d+)\.wav", re.IGNORECASE)
CALLED = "DIGIT_SPEAKER_NUMBER.wav"
NUM_TEST = 5  # of each digit and speaker
SIZE = PublicSize(10, 2_700, 300)
MEGABYTES = 16


class SpokenOptions(PictureOptions):
    held_out: list[str] = []
    """Speakers whose clips are neither learned nor in the test split: they are the split `shift`, scored beside it."""

    @field_validator("held_out")
    @classmethod
    def _one_order(cls, names: list[str]) -> list[str]:
        """One split has one key."""
        again = sorted(name for name, count in Counter(names).items() if count > 1)
        if again:
            raise ValueError(f"{listed(again)} more than once")
        return sorted(names)


def facts(options: SpokenOptions) -> DatasetFacts:
    found = labelled.facts_of(_scan(options), options)
    if options.held_out:
        return found
    unlike = SIZE.difference(found.num_classes, found.num_train, found.num_test, "clip")
    notes = (f"not {NAME} as it was published: {unlike}",) if unlike else ()
    return replace(found, notes=(*notes, *found.notes))


def load(options: SpokenOptions) -> Dataset:
    return labelled.load(_scan(options), options)


def _scan(options: SpokenOptions) -> Labelled:
    root, clips, others = _clips()
    speakers = sorted({speaker for _, _, speaker, _ in clips})
    for name in options.held_out:
        if name not in speakers:
            close = nearest(name, speakers, limit=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise DataError(f"{NAME}: held_out: no speaker {name!r}{hint} Known: {listed(speakers, 12)}")
    if set(options.held_out) == set(speakers):
        raise DataError(f"{NAME}: held_out: all speakers are held out, and nobody is left to learn from")
    digits = sorted({digit for _, digit, _, _ in clips})
    notes: tuple[str, ...] = ()
    if options.held_out:
        notes = (f"all clips of {listed(options.held_out)} are in the split shift",)
    if others:
        notes += (f"clips that are not called {CALLED}, passed over: {others}",)
    return Labelled(
        root=root,
        files=tuple(path for path, _, _, _ in clips),
        classes=tuple(digits),
        labels=tuple(digits.index(digit) for _, digit, _, _ in clips),
        splits=tuple(_split(speaker, number, options.held_out) for _, _, speaker, number in clips),
        notes=notes,
        modality="sound",
    ).checked()


def _split(speaker: str, number: int, held_out: list[str]) -> str:
    if speaker in held_out:
        return "shift"
    return "test" if number < NUM_TEST else "train"


def _clips() -> tuple[Path, list[tuple[Path, str, str, int]], int]:
    """The folder that holds them; path, digit, speaker and number of each; and how many have another name."""
    for place in data_folders():
        for name in FOLDERS:
            for folder in (place / name / RECORDINGS, place / name):
                matches = [(path, CLIP.fullmatch(path.name)) for path in visible(folder)] if folder.is_dir() else []
                found = [(path, m[1], m[2].lower(), int(m[3])) for path, m in matches if m is not None]
                if found:
                    every = sum(is_suffix_of(path.name, (".wav",)) for path, _ in matches)
                    return folder, found, every - len(found)
                if matches and folder.name == RECORDINGS:
                    raise DataError(f"{shown(folder)}: no clips called {CALLED}, as they are published")
    way = f"put its folder `{RECORDINGS}` into {NAME}/ of a folder of {DATA}"
    raise Missing("dataset", NAME, way, MEGABYTES)


SPOKEN_DIGITS = DatasetEntry(
    NAME, "ten digits by six speakers, 3,000 clips; speakers can be held out", facts, load, SpokenOptions, is_read=True,
    public=SIZE, modality="sound",
)  # fmt: skip
