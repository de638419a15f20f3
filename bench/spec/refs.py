"""What a job refers to and how it trains: data, network, pipeline, training, search. Pure values, defaults filled."""

import math
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from bench.keys import LATER, digest

Metric = Literal["accuracy", "mean_per_class", "macro_f1", "mcc"]  # what a score is: bench/metrics.py
Keeps = Literal["none", "bits", "classes", "full"]  # what a final tells of each test example; in no key
# Common mistakes that a suite may make on purpose: bench/planning/pitfalls.py
PitfallName = Literal[
    "no_normalisation", "no_normalisation_at_test", "pixels_to_255", "pixels_to_255_at_test", "half_resolution_at_test",
    "swapped_channels_at_test", "rate_30_times", "training_mode_features", "training_mode_at_test",
    "training_mode_at_test_by_class",
]  # fmt: skip


@dataclass(frozen=True)
class DataRef:
    name: str
    options: dict[str, Any]
    revision: str
    num_classes: int
    metric: Metric = "accuracy"
    # A repeat's own division of all examples: its seed, or the digest of the one that a list says; None: as it is read.
    split: int | str | None = field(default=None, metadata=LATER)
    # The part of the set that is taken: places among its classes, ascending, which become 0, 1 ...; None: all of it.
    classes: tuple[int, ...] | None = field(default=None, metadata=LATER)

    @property
    def as_read(self) -> "DataRef":
        """The set that repeats divide, each for itself; or this one."""
        return replace(self, split=None)


@dataclass(frozen=True)
class LabelBudget:
    kind: Literal["labels_per_class", "fraction", "total", "full"]
    amount: float = 0.0  # images per class, share or images; 0 for full

    @property
    def text(self) -> str:
        match self.kind:
            case "labels_per_class":
                return f"{self.amount:.0f}"
            case "fraction":
                return f"{self.amount * 100:g}%"
            case "total":
                return f"total {self.amount:.0f}"
            case "full":
                return "full"

    @classmethod
    def of(cls, text: str) -> "LabelBudget":
        """What `text` says. Raises ValueError."""
        try:
            if text == "full":
                return cls("full")
            if text.endswith("%") and 0 < float(text[:-1]) <= 100:
                return cls("fraction", float(text[:-1]) / 100)
            number = text.removeprefix("total ")
            if not number.isdecimal() or int(number) == 0:
                raise ValueError(text)
            return cls("labels_per_class" if number == text else "total", float(int(number)))
        except ValueError:
            raise ValueError(f"label budget {text!r}; expected `full`, labels per class such as `5`, `10%` or "
                             "`total 1000`") from None


@dataclass(frozen=True)
class Weights:
    origin: Literal["random", "hub", "file", "pretrain"]
    identity: str = ""  # hub tag, sha256 of the file, or key of the pretraining


@dataclass(frozen=True)
class BackboneRef:
    name: str
    options: dict[str, Any]
    units: Literal["coarse", "fine"]
    weights: Weights


def arithmetic_key(backbone: BackboneRef) -> str:
    """Of the architecture, wherever its weights come from."""
    return digest([backbone.name, backbone.options])


@dataclass(frozen=True)
class NewHead:
    """The classifier that a training begins with."""

    start: Literal["zero", "small", "architecture"] = "zero"  # of its last layer
    hidden: int = 0  # units of a ReLU layer before the last one; 0: the head is linear
    dropout: float = 0.0  # behind that layer


@dataclass(frozen=True)
class Pipeline:
    """From stored pixels to the network's input."""

    image_size: int  # pixels
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    crop: float = 1.0  # share of the side that is kept, in the middle
    # Mistakes made on purpose; None: not made.
    shrunk: int | None = field(default=None, metadata=LATER)  # pixels of a side that the input loses detail to
    channels: Literal["bgr"] | None = field(default=None, metadata=LATER)


SEPARATOR = 0x1E  # the byte between the two texts of a pair, as they are stored
WORDS = "words/"  # a tokenizer that needs no file: words by their digest, in so many numbers


@dataclass(frozen=True)
class TextPipeline:
    """From stored texts to the network's input."""

    tokenizer: str  # digest of its file; `words/4096` needs none
    max_length: int  # tokens; longer texts are cut
    # The number of the tokenizer's own mask token; None: it has none, or its words are numbered without a file.
    mask: int | None = field(default=None, metadata=LATER)

    @property
    def has_mask(self) -> bool:
        return self.mask is not None or self.tokenizer.startswith(WORDS)


@dataclass(frozen=True)
class TextChanges:
    """Random changes of training texts: each token on its own, but never the first and the last of a text."""

    mask: float = 0.0  # share of tokens that become the mask token
    drop: float = 0.0  # share of tokens that the network does not see; their places stay empty

    @property
    def is_random(self) -> bool:
        return self.mask + self.drop > 0


@dataclass(frozen=True)
class Mel:
    """From waves to log-mel energies, frames by bands. The defaults are YAMNet's."""

    window: int = 400  # samples of a frame, under a Hann window
    hop: int = 160  # samples between frames
    fft: int = 512
    bands: int = 64
    low: float = 125.0  # Hz
    high: float = 7500.0
    scale: Literal["htk", "slaney"] = "htk"  # triangles on HTK's mel scale; or Slaney's, each of area 1 in Hz
    power: Literal[1, 2] = 1  # of the magnitudes
    offset: float = 1e-3  # is added before the logarithm
    floor: float = 0.0  # smallest energy
    log: Literal["e", "10"] = "e"
    centred: bool = False  # frames around each hop, the clip mirrored at its ends and the last frame left out
    emphasis: float = 0.0  # of high frequencies, with each frame's mean taken off: Kaldi's way
    span: float = 0.0  # powers of ten below a clip's largest value, all that is kept; 0: everything
    frames: int = 0  # so many, cut or filled with zeros behind the end; 0: as they come


@dataclass(frozen=True)
class SoundPipeline:
    """From stored clips to the network's input."""

    rate: int = 16_000  # Hz
    samples: int = 0  # of a clip: its middle, or zeros around it; 0: as long as the set's clips
    least: int = 0  # samples, where `samples` is 0
    mel: Mel | None = None  # None: waves
    mean: float = 0.0
    std: float = 1.0
    each: bool = False  # every clip is brought to mean 0 and variance 1
    channels: int = 0  # of a picture, all alike; 0: no picture but frames by bands
    side: int = 0  # pixels that a picture is resized to; 0: frames by bands as they are


@dataclass(frozen=True)
class SoundChanges:
    """Random changes of training clips, each on its own."""

    shift: float = 0.0  # share of a clip's length, at most, to either side
    noise: float = 0.0  # of a spread that is at most this share of the clip's own
    time_masks: int = 0
    mel_masks: int = 0
    widest: float = 0.125  # a mask, as a share of the clip's length or of its bands

    @property
    def is_random(self) -> bool:
        return self != SoundChanges(widest=self.widest)


@dataclass(frozen=True)
class Deployment:
    """How a trained network is used on the test images, where that is another way than it was trained for."""

    pipeline: Pipeline | None = None  # None: that of the training
    in_training_mode: bool = False  # BatchNorm by the batch at hand, in batches as large as those of the training
    by_class: bool = False  # one class after the other



@dataclass(frozen=True)
class Training:
    steps: int
    batch_size: int
    optimizer: Literal["sgd", "adamw"]
    momentum: float
    schedule: Literal["cosine", "linear", "constant"]
    warmup: float
    label_smoothing: float
    flip: bool
    shift: int
    views: int  # 0: images are changed anew each time
    evaluations: int
    precision: str
    crop: float = 0.0  # smallest share of an image's area that is shown; 0: images are not cropped
    text: TextChanges | None = field(default=None, metadata=LATER)  # None: texts stay as they are
    sound: SoundChanges | None = field(default=None, metadata=LATER)  # of clips; None: they are not changed
    deterministic: bool | None = field(default=None, metadata=LATER)  # True or None: nothing adds in an order by chance


@dataclass(frozen=True)
class Engine:
    """How work is saved. In no key: numbers do not depend on it, but for rounding. Records tell of it."""

    partition: bool = True
    fleet: int | Literal["auto"] = "auto"


@dataclass(frozen=True)
class Search:
    trials: int
    sampler: Literal["bracket", "grid", "tpe", "random"]
    pruner: Literal["halving", "none"]
    first_rung: float  # share of the steps after which trials are first compared; unused without a pruner
    lr_low: float  # of the range; of a bracket, the ends of its first points
    lr_high: float
    weight_decay: float  # used where the next two are None
    weight_decay_low: float | None
    weight_decay_high: float | None
    folds: int  # 0: a hold-out
    holdout: float

    @property
    def centre(self) -> float:
        return math.sqrt(self.lr_low * self.lr_high)

    @property
    def step(self) -> float:
        """Ratio of neighbouring rates among a bracket's first points."""
        return math.sqrt(self.lr_high / self.lr_low)
