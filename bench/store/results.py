"""What records hold, typed: the one place that knows their fields, so that a new number is one field here. The engine
makes these values, `Fields.plain` writes them, `read` gets them back. What does not fit its type is no record.

A field that was given no value is not in the file; one that was given None is, as null. Empty lists and mappings come
from a factory, as pydantic copies others, deeply, for each of a million records.
"""

import base64
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bench.spec.refs import BackboneRef, DataRef, Metric

MOST = 10**30  # of anything that is counted or measured: more than there is, and small enough for sums
Flag = Annotated[bool, Field(strict=True)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Rate = Annotated[Number, Field(gt=0, le=1e100)]
Amount = Annotated[Number, Field(ge=0, le=MOST)]
Share = Annotated[Number, Field(ge=0, le=1 + 1e-6)]  # a mean over classes may pass 1 by rounding
Score = Annotated[Number, Field(ge=-1 - 1e-6, le=1 + 1e-6)]  # by a suite's metric, of which mcc goes down to -1
Count = Annotated[int, Field(strict=True, ge=0, le=MOST)]
Place = Annotated[int, Field(strict=True, ge=0, le=10**9)]  # of a trial in its search
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Edge = Literal["", "low", "high"]
_BASE64 = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
Bytes = Annotated[str, Field(pattern=_BASE64, max_length=4000)]


class Fields(BaseModel):
    """Fields of a file that this version does not know are passed over."""

    model_config = ConfigDict(frozen=True)

    def plain(self) -> dict[str, Any]:
        """As it lies in the file."""
        return self.model_dump(exclude_unset=True)


P = TypeVar("P", bound=Fields)


def read(part: type[P], raw: dict[str, Any], where: str) -> P:
    """Raises ValueError: `result.score: expected a number, got 'x'`."""
    try:
        return part.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join([where, *map(str, first["loc"])])
        if first["type"] == "missing":
            raise ValueError(f"{place}: missing") from None
        words = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ").replace("a valid ", "a ")
        words = words.partition(" or instance of")[0]
        raise ValueError(f"{place}: expected {words}, got {repr(first['input'])[:60]}") from None


class AtPoint(Fields):
    """At which point of a search: a rate and a decay, or the penalty of a closed form."""

    lr: Rate | None = None
    weight_decay: Amount | None = None
    options: dict[str, Any] = Field(default_factory=dict)  # of the strategy, where these are searched too
    penalty: Rate | None = None

    def check(self) -> None:
        if (self.lr is None) != (self.weight_decay is None) or (self.lr is None) == (self.penalty is None):
            raise ValueError("a rate with a decay, or a penalty")


class Ran(AtPoint):
    """What a training was given, and how it ended; or the solver of a closed form."""

    dataset_sha256: str = ""
    weights: dict[str, Any] | None = None  # what happened when they were loaded; None: all of them are random
    stop: Count | None = None  # steps after which it stopped, where a recipe may stop early
    collapsed: Flag | None = None  # no better than a guess on its own training images; None: nobody looked
    converged: Flag | None = None
    evaluations: Count | None = None
    gradient_norm: Amount | None = None


@dataclass(frozen=True)
class Point:
    step: Count
    train_loss: Number | None  # mean since the point before; closed forms have none
    accuracy: Score  # by whatever metric
    loss: Number | None  # None where it is not finite


@dataclass(frozen=True)
class Rung:
    """How a trial stood after so many steps."""

    step: Count
    score: Score  # over all validation labels
    loss: Number | None
    stop: Count | None = None  # the best moment to stop so far, whose score this is; None where the recipe has none


class Fold(Fields):
    score: Score
    loss: Number | None
    train_loss: Number | None = None


class TrialResult(Ran):
    score: Score  # on the validation labels, after its last step
    loss: Number | None
    num_validation: Count
    folds: list[Fold]
    steps: Count | None = None  # after which it left; closed forms take none
    rungs: list[Rung] = Field(default_factory=list)
    ingredients: list[str] = Field(default_factory=list)  # digests of what each fold learned, for a soup


class Known(Fields):
    """Shares of the source's test images that are classified correctly."""

    original: Share | None = None  # by the head that the backbone was pretrained with
    refitted: Share | None = None  # by ridge regression on other source images


class SourceScores(Fields):
    """What became of the source task."""

    before: Known
    after: Known
    num: Count
    error: str = ""


class ShiftScore(Fields):
    """On a further split of the data set: the same classes in other circumstances."""

    score: Score
    loss: Number | None
    num: Count


class Distance(Fields):
    """How far the target lies from what the network learned last. Errors are shares of held-out images."""

    num: Count = 0  # images of each side
    folds: Count = 0  # of the next two, which are cross-fitted
    joint_folds: Count = 0  # of the joint errors; 0: there are none
    features: Share | None = None  # error of a classifier that tells source from target by the network's features
    pixels: Share | None = None  # likewise by the images themselves
    mmd: Number | None = None  # squared maximum mean discrepancy of the features, and its standard error
    mmd_error: Amount | None = None
    source_error: Share | None = None  # of the network's own head
    joint_source: Share | None = None  # of one linear head on these features, fitted on images of both sides
    joint_target: Share | None = None
    same_classes: Flag = False  # else the classes of both sides stand side by side in that head
    target_error: Share | None = None  # of the network's own head, where the classes are the same
    error: str = ""


class Forecast(Fields):
    """What is known of a transfer before any training, from the labelled examples of a repeat. Higher is better in all
    scores; None: it cannot be had."""

    num: Count = 0  # labelled examples that were looked at
    num_labels: Count = 0  # of so many
    log_me: Number | None = None
    h_score: Number | None = None
    shrunk_h_score: Number | None = None
    transrate: Number | None = None
    parc: Number | None = None
    gbc: Number | None = None
    cka: Number | None = None
    leep: Number | None = None  # by the classifier that the network was pretrained with, as the next
    nce: Number | None = None
    without_head: str = ""  # why these two are not there
    # Here: of a pass over the examples, `features`, and of each score after it.
    seconds: dict[str, Amount] = Field(default_factory=dict)
    error: str = ""


class SeenImages(Fields):
    """How many of the target's images are training images of a set that was learned before it."""

    dataset: str
    test: Count
    num_test: Count
    train: Count
    num_train: Count
    shift: Count = 0
    num_shift: Count = 0


class SeenBefore(Fields):
    test_in_train: Count = 0  # test images that are training images too
    shift_in_train: Count = 0  # likewise of a further split
    in_two_classes: Count = 0  # images of the set that equal one with another label
    unlike_public: str = ""  # how the set differs from the public one of its name
    overlap: list[SeenImages] = Field(default_factory=list)  # one for each pretraining, the first one first


class Unscored(Ran):
    """What is known of a final without a score: what it was given, or why it failed."""

    trial: Place | None = None  # whose point it has
    lr_edge: Edge = ""  # whether its rate is the lowest or the highest that was tried
    num_labels: Count | None = None
    enlivened: dict[str, Any] | None = None  # what was done to random weights that stay frozen
    soup: list[Place] = Field(default_factory=list)  # the trials in it
    traceback: str = ""


class Plane(Fields):
    """Examples on the two axes along which their features vary most."""

    places: Bytes  # int8 [n, 2], the farthest number being 127
    shares: Annotated[list[Share], Field(min_length=2, max_length=2)]  # of the variance, along each axis


class Projection(Fields):
    """Features of the same test examples before training and after it, each on axes of its own."""

    labels: Bytes  # uint8 [n]
    before: Plane
    after: Plane

    @model_validator(mode="after")
    def _is_of_one_size(self) -> Self:
        num = len(base64.b64decode(self.labels))
        if any(len(base64.b64decode(one.places)) != 2 * num for one in (self.before, self.after)):
            raise ValueError("two numbers for each label")
        return self


class FinalResult(Unscored, SeenBefore):
    trial: Place | None  # None: a checkpoint that was scored as it came
    lr_edge: Edge
    num_labels: Count
    dataset_sha256: str
    weights: dict[str, Any] | None
    metric: Metric
    score: Score  # of the last weights, on the test split
    loss: Number | None
    num_test: Count
    best_on_test: Score  # what choosing the moment of stopping on the test split would have claimed: a diagnosis
    curve: list[Point]
    penalty_edge: Edge = ""
    train_loss_end: Number | None = None  # on its own training images; None where it is not finite, or nobody looked
    source: SourceScores | None = None
    shift: ShiftScore | None = None
    distance: Distance | None = None
    forecast: Forecast | None = None
    # Linear CKA of each unit below the head, start against end; None for a unit that puts out the same for every image.
    similarity: list[Number | None] | None = None
    projection: Projection | None = None  # of the last unit below the head, where similarity is told of repeat 0
    mix: list[Share | None] | None = None  # how much each unit below the head counts, where a classifier weighs them
    rows: list[int] = Field(default_factory=list)  # of an own head, by class of the data set
    num_rows: Count | None = None
    among: str = ""
    predictions: Sha256 | None = None  # digest of the file of what it said of each test example

    @model_validator(mode="after")
    def _has_a_point(self) -> Self:
        if self.trial is not None:
            self.check()
        return self


class PretrainResult(Fields):
    metric: Metric
    score: Score
    num_test: Count
    curve: list[Point]
    dataset_sha256: str
    weights: dict[str, Any] | None  # that it began with
    weights_sha256: Sha256
    tensors_sha256: str = ""  # the same content as those tell it who begin with these weights


class Logical(Fields):
    """What a strategy costs on its own, on any machine."""

    steps: Count | None = None
    samples: Count | None = None
    flops: Count | None = None  # of one final training
    trainable_params: Count | None = None
    added_params: Count | None = None  # of these, what the strategy built into the network
    total_params: Count | None = None


class Measured(Fields):
    """What it took here."""

    seconds: Amount | None = None
    feature_seconds: Amount | None = None  # on features that others may use as well; not in `seconds`
    peak_memory_bytes: Count | None = None

    def plus(self, other: "Measured", shared_by: int = 1) -> "Measured":
        """Seconds add up, and those who ran together share them."""
        return Measured(
            seconds=(self.seconds or 0.0) + (other.seconds or 0.0) / shared_by,
            feature_seconds=(self.feature_seconds or 0.0) + (other.feature_seconds or 0.0) / shared_by,
            peak_memory_bytes=max(self.peak_memory_bytes or 0, other.peak_memory_bytes or 0),
        )


class EngineUse(Fields):
    """How the work was done; numbers do not depend on it, but for rounding."""

    frozen: list[str] = Field(default_factory=list)  # what became of parts that cannot change, by phase
    forms: list[str] = Field(default_factory=list)
    replicas: Count | None = None  # networks that trained as one, itself included
    whole: str = ""  # why a network with frozen units runs whole


class Arithmetic(Fields):
    used: str
    why: str


class Cost(Fields):
    logical: Logical = Logical()
    measured: Measured = Measured()
    engine: EngineUse = EngineUse()
    precision: Arithmetic | None = None


class PointFields(AtPoint):
    @model_validator(mode="after")
    def _is_a_point(self) -> Self:
        self.check()
        return self


class DataAsked(Fields):
    metric: Metric
    num_classes: Count
    split: Any = None  # of a set that comes in one


class SearchAsked(Fields):
    trials: Count
    folds: Count


class Budget(Fields):
    steps: Count


class PhaseAsked(Fields):
    rates: list[Number] = Field(default_factory=list)


class RecipeAsked(Fields):
    phases: list[PhaseAsked] = Field(default_factory=list)
    labels: str | None = None


class FitAsked(Fields):
    """Of the spec of a final."""

    data: DataAsked
    search: SearchAsked
    training: Budget
    recipe: RecipeAsked = RecipeAsked()
    deployed: dict[str, Any] | None = None


class PointOf(Fields):
    number: Place
    hyper: PointFields


class PointAsked(FitAsked, PointOf):
    """Of the spec of a trial, or of a point that was not chosen."""


class PretrainAsked(Fields):
    """Of the spec of a pretraining."""

    data: DataRef
    backbone: BackboneRef


class Provenance(Fields):
    commit: str | None = None
    code: str | None = None
    dirty: Flag | None = None
    libraries: dict[str, str | None] = Field(default_factory=dict)
    platform: str | None = None
    processor: str | None = None
    device: str | None = None
    stand_in: list[str] = Field(default_factory=list)
