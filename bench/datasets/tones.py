"""`tones`: a world of sound that is drawn on the spot. Sixteen kinds of sound, each clip in a pitch, a loudness, a
length and a noise of its own; nothing but the kind carries the label.

Groups `even` and `moving` have no kind in common: one to pretrain on, the other to transfer to.
"""

from collections.abc import Callable
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from bench.catalogue import Options
from bench.datasets.base import Dataset, DatasetEntry, DatasetFacts, Split
from bench.keys import seed_for

REVISION = 1  # bump when any sample changes: it is part of every key
RATE = 16_000  # Hz
SAMPLES = 15_600  # what YAMNet sees at once
LOW, HIGH = 200.0, 900.0  # Hz, of a clip's pitch
QUIET, LOUD = 0.05, 0.4  # of full scale

Wave = npt.NDArray[np.float64]
Draw = np.random.Generator
TIME = np.arange(SAMPLES) / RATE


def _tone(pitch: float | Wave, partials: tuple[float, ...] = (1.0,)) -> Wave:
    """`pitch`: Hz, or Hz at every sample."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(pitch, SAMPLES)) / RATE
    found: Wave = np.sum([loud * np.sin((number + 1) * phase) for number, loud in enumerate(partials)], axis=0)
    return found


def _glide(pitch: float, octaves: float) -> Wave:
    return _tone(pitch * 2 ** (octaves * TIME / TIME[-1]))


def _pulses(sound: Wave, per_second: float, share: float) -> Wave:
    return sound * ((TIME * per_second) % 1 < share)


def _noise(draw: Draw, low: float, high: float) -> Wave:
    """Between two frequencies, in Hz."""
    spectrum = np.fft.rfft(draw.normal(size=SAMPLES))
    hertz = np.fft.rfftfreq(SAMPLES, 1 / RATE)
    spectrum[(hertz < low) | (hertz > high)] = 0
    found: Wave = np.fft.irfft(spectrum, SAMPLES)
    return found / float(np.abs(found).max())


# Each takes a pitch in Hz and a stream of random numbers.
EVEN: dict[str, Callable[[float, Draw], Wave]] = {
    "pure": lambda pitch, draw: _tone(pitch),
    "reed": lambda pitch, draw: _tone(pitch, (1, 0, 1 / 3, 0, 1 / 5, 0, 1 / 7)),
    "string": lambda pitch, draw: _tone(pitch, tuple(1 / n for n in range(1, 9))),
    "fifth": lambda pitch, draw: _tone(pitch) + _tone(1.5 * pitch),
    "octaves": lambda pitch, draw: _tone(pitch, (1, 1, 0, 1, 0, 0, 0, 1)),
    "dull noise": lambda pitch, draw: _noise(draw, 0.5 * pitch, 2 * pitch),
    "bright noise": lambda pitch, draw: _noise(draw, 4 * pitch, 8 * pitch),
    "hoarse": lambda pitch, draw: _tone(pitch) + 2 * _noise(draw, 2 * pitch, 6 * pitch),
}
MOVING: dict[str, Callable[[float, Draw], Wave]] = {
    "rise": lambda pitch, draw: _glide(pitch, 1.5),
    "fall": lambda pitch, draw: _glide(2.8 * pitch, -1.5),
    "arch": lambda pitch, draw: _tone(pitch * 2 ** (1.5 * np.sin(np.pi * TIME / TIME[-1]))),
    "vibrato": lambda pitch, draw: _tone(pitch * (1 + 0.15 * np.sin(2 * np.pi * 6 * TIME))),
    "tremolo": lambda pitch, draw: _tone(pitch) * (0.5 + 0.5 * np.sin(2 * np.pi * 6 * TIME)),
    "steps up": lambda pitch, draw: _tone(pitch * 2 ** (np.floor(4 * TIME / TIME[-1]).clip(max=3) / 3)),
    "beeps": lambda pitch, draw: _pulses(_tone(2 * pitch), 4, 0.4),
    "rattle": lambda pitch, draw: _pulses(_noise(draw, pitch, 8 * pitch), 12, 0.3),
}
KINDS = {**EVEN, **MOVING}
CLASSES = tuple(KINDS)


class TonesOptions(Options):
    train_per_class: Annotated[int, Field(ge=1, le=5_000)] = 60
    """Training clips of each class; more of them extend the set, the first stay as they are."""
    test_per_class: Annotated[int, Field(ge=1, le=5_000)] = 40
    """Test clips of each class."""
    noise: Annotated[float, Field(ge=0, le=2)] = 0.3
    """The loudest noise behind a sound, as a share of the sound's own loudness."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Another seed draws other clips of the same classes."""


def facts(options: TonesOptions) -> DatasetFacts:
    settings = ",".join(f"{name}={value}" for name, value in options.model_dump().items())
    return DatasetFacts(
        num_classes=len(CLASSES),
        image_size=SAMPLES * 1000 // RATE,
        num_train=len(CLASSES) * options.train_per_class,
        num_test=len(CLASSES) * options.test_per_class,
        smallest_class=options.train_per_class,
        train_sizes=(options.train_per_class,) * len(CLASSES),
        test_sizes=(options.test_per_class,) * len(CLASSES),
        classes=CLASSES,
        revision=f"tones-{REVISION}:{settings}",
    )


def load(options: TonesOptions) -> Dataset:
    return Dataset(CLASSES, _split("train", options.train_per_class, options),
                   _split("test", options.test_per_class, options))  # fmt: skip


def _split(split: str, per_class: int, options: TonesOptions) -> Split:
    """Clip i of class c stands at i * classes + c, so a smaller set is the beginning of a larger one."""
    wave = np.empty((per_class, len(CLASSES), SAMPLES), np.int16)
    for label, name in enumerate(CLASSES):
        for number in range(per_class):
            wave[number, label] = _clip(name, np.random.default_rng(_seed(split, name, number, options)), options)
    labels = np.tile(np.arange(len(CLASSES), dtype=np.int64), per_class)
    flat = wave.reshape(-1, SAMPLES)
    return Split({"wave": flat, "rate": np.full(len(flat), RATE, np.int32)}, labels, modality="sound")


def _seed(split: str, name: str, number: int, options: TonesOptions) -> int:
    return seed_for("tone", split, name, number, options.seed)


def _clip(name: str, draw: Draw, options: TonesOptions) -> npt.NDArray[np.int16]:
    pitch = LOW * (HIGH / LOW) ** draw.random()
    sound = KINDS[name](pitch, draw)
    sound = sound / np.abs(sound).max() * _swell(draw)
    sound = sound + options.noise * draw.random() * sound.std() * draw.normal(size=SAMPLES)
    loud = QUIET * (LOUD / QUIET) ** draw.random()
    found: npt.NDArray[np.int16] = np.rint(32767 * (loud * sound).clip(-1, 1)).astype(np.int16)
    return found


def _swell(draw: Draw) -> Wave:
    """From 0 up to 1 and down again: where a sound begins and ends, and how fast."""
    begin, end = 0.2 * draw.random(), 1 - 0.2 * draw.random()
    share = TIME / TIME[-1]
    edge = 0.02 + 0.1 * draw.random()
    found: Wave = np.clip(np.minimum((share - begin) / edge, (end - share) / edge), 0, 1)
    return found


TONES = DatasetEntry(
    "tones", "16 kinds of sound, drawn on the spot: steady ones, noises, chirps and beeps", facts, load, TonesOptions,
    modality="sound", groups={"even": tuple(EVEN), "moving": tuple(MOVING)},
)  # fmt: skip
