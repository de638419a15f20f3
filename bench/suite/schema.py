"""What may stand in a suite file, with every default. `load.py` turns a file into a `Suite`; `planning/` reads it next.

Field descriptions are the reference: `suites/README.md` and `python -m bench schema` are generated from them.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from bench.spec.refs import Keeps, Metric, PitfallName
from bench.suite.claims_schema import ClaimSpec
from bench.suite.numbers import Below1, Count, Name, Positive, Positives, Rate, Rates, Share, Whole, whole
from bench.suite.recipe_schema import RecipeSpec, StopSpec
from bench.suite.search_schema import SearchSpec
from bench.suite.section import SuiteSection
from bench.suite.study_schema import TransferabilitySpec
from bench.suite.training_schema import TrainingSpec


class TestSpec(SuiteSection):
    resplit: bool | None = None
    """Divide the examples anew in every repeat, so that intervals are over test examples too: for sets that come in one
    split. Unset: where such a set has fewer than 3,000 examples and each repeat has a search of its own."""


class ClassesSpec(SuiteSection):
    names: tuple[Annotated[str, Field(min_length=1)] | int, ...] = ()
    """These classes, by their names. `classes: [cat, dog]` is short for it."""
    group: Name | None = None
    """The classes of a group that the set declares, such as `man_made` and `natural` of CIFAR, `shapes` and `textures`
    of `source`."""
    half: Literal["A", "B"] | None = None
    """A random half of the classes; A and B have none in common."""
    split: Whole = 0
    """Which random halves: another number draws others."""

    @model_validator(mode="after")
    def _one_way(self) -> "ClassesSpec":
        if sum([bool(self.names), self.group is not None, self.half is not None]) != 1:
            raise ValueError("give one of names, group and half")
        if self.split and self.half is None:
            raise ValueError("split says which halves; give `half` too")
        return self

    @property
    def text(self) -> str:
        """`A/0`, `shapes`, `cat+dog`: as labels name it."""
        if self.half is not None:
            return f"{self.half}/{self.split}"
        if self.group is not None:
            return self.group
        names = [str(name) for name in self.names]
        return "+".join(names) if len(names) <= 3 else f"{names[0]}..{names[-1]}, {len(names)}"


class DatasetSpec(SuiteSection):
    name: Name
    """A name from `python -m bench list datasets`."""
    labels_per_class: tuple[Count | Literal["full"], ...] = ()
    """Label budgets: so many labelled training examples of each class; `full` takes all there are. Where no budget of
    any kind is given: `full`."""
    fraction: tuple[Share, ...] = ()
    """Label budgets as a share of each class's training examples."""
    total: tuple[Count, ...] = ()
    """Label budgets as a total over the classes, spread as evenly as the classes allow."""
    splits: Annotated[str, Field(min_length=1)] | None = None
    """Take labelled, validation and test examples from a list instead of drawing them: a file that `splits export` or
    `splits import` wrote, looked for beside the suite, where the command runs, and in the folders of BENCH_DATA. Where
    no budget is given here: those of the list. Where the list has no validation examples, they are drawn from the
    labels; where it has no test examples, all of the test split is tested on."""
    options: dict[str, Any] = {}
    """The dataset's own options."""
    classes: ClassesSpec | None = None
    """Take a part of the set: examples of these classes alone. Unset: all of it."""
    metric: Metric | None = None
    """What a score is, in validation and test: the share of examples that are right; the mean over the classes of each
    one's share (balanced accuracy); the mean of each one's F1; Matthews' correlation, from -1 to 1. Unset: what this
    set's literature reports."""
    test: TestSpec = TestSpec()
    """Which examples are tested on."""
    label: Name | None = None
    """The name shown in tables; needed when one dataset stands twice with other options."""


class PretrainingSpec(SuiteSection):
    dataset: Name
    """The dataset to pretrain on."""
    options: dict[str, Any] = {}
    """That dataset's own options."""
    classes: ClassesSpec | None = None
    """Take a part of it: examples of these classes alone. Unset: all of it."""
    objective: Literal["labels", "masked"] = "labels"
    """What is learned: the set's labels; or, of texts, to fill in masked tokens, without labels."""
    epochs: Count = 10
    """Passes over its training split."""
    batch_size: Count = 128
    """Examples per step."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    """SGD with Nesterov momentum of 0.9, or AdamW, which transformers want."""
    lr: Positive | None = None
    """The rate at its highest; nothing is searched here. Unset: 0.2 for SGD, 0.001 for AdamW."""
    weight_decay: Rate | None = None
    """Weight decay of the pretraining. Unset: 5e-4 for SGD, 0.05 for AdamW."""
    shift: Annotated[int, Field(ge=0), BeforeValidator(whole)] = 2
    """Training images are moved by up to so many pixels, each on its own. Of pictures alone."""
    seed: Whole = 0
    """Moves initialisation, order and shifts of the pretraining."""
    seeds: Literal["shared", "per_repeat"] = "shared"
    """`per_repeat`: each repeat has a pretraining of its own, seeded one higher than the one before, so that intervals
    are over pretrainings too. `shared`: one serves all repeats, and its chance is in no interval."""
    allow_overlap: bool = False
    """Pretrain on a target's examples knowingly; the page says so. Without it, a suite is refused where more than 1 %
    of a target's test or training examples are among those that are pretrained on, whatever the sets are called."""


class BackboneSpec(SuiteSection):
    name: Name
    """A name from `python -m bench list backbones`, or any timm model, with or without a weights tag."""
    weights: Name | None = None
    """`hub` (timm's pretrained weights), `random`, or the path of a local checkpoint. Unset: `hub` for a timm name,
    what `pretrain` makes where that is given, else random."""
    pretrain: PretrainingSpec | None = None
    """Pretrain inside the suite, as a job of its own; its weights are kept and shared by all suites."""
    options: dict[str, Any] = {}
    """Passed to the architecture's constructor."""
    units: Literal["coarse", "fine"] = "coarse"
    """How finely the network is cut into freezable units: stages, or single blocks."""
    image_size: Count | None = None
    """Side in pixels that images are resized to. Unset: the weights' own for a timm name, the dataset's otherwise."""
    takes: Literal["log_mel"] | None = None
    """`log_mel`: a network for pictures is shown the log-mel energies of sound, 96 frames of 10 ms and more by 64
    bands, on all of its channels. With `image_size` they are resized to a square. Unset: what the network is made
    for."""
    mean: Rates | None = None
    """Mean for normalisation, one number or one per channel. Unset: the weights' own."""
    std: Positives | None = None
    """Standard deviation for normalisation, likewise."""
    interpolation: Literal["bicubic", "bilinear"] | None = None
    """How images are resized. Unset: the weights' own for a name of timm or torchvision, bicubic otherwise."""
    crop: Share = 1.0
    """Share of each side that is shown, in the middle: 0.875 is what many ImageNet networks were evaluated with. All
    of the image by default, because the things of small images fill them."""
    label: Name | None = None
    """The name shown in tables; needed when one backbone stands twice."""

    @model_validator(mode="after")
    def _one_origin(self) -> "BackboneSpec":
        if self.pretrain is not None and self.weights is not None:
            raise ValueError("give either weights or pretrain, not both")
        return self


class HeadSpec(SuiteSection):
    start: Literal["zero", "small", "architecture"] = "zero"
    """How the head's last layer starts: at zero, drawn with a standard deviation of 0.01, or as the architecture draws
    it (timm's MobileNets eleven times as wide as `nn.Linear`, which decides scores at few labels)."""
    mlp: Count | None = None
    """Put a ReLU layer of so many units before the last one. Strategies whose classifier is computed do not apply
    then."""
    dropout: Below1 = 0.0
    """Dropout behind that layer."""

    @model_validator(mode="after")
    def _dropout_needs_layer(self) -> "HeadSpec":
        if self.dropout and self.mlp is None:
            raise ValueError("dropout acts behind the hidden layer; give `mlp` too")
        return self


def head_text(head: HeadSpec) -> str:
    """`zero`, `mlp 256`, `small mlp 256`: as labels and pages name it."""
    parts: list[str] = [head.start] if head.start != "zero" or head.mlp is None else []
    parts += [f"mlp {head.mlp}"] if head.mlp is not None else []
    return " ".join([*parts, *([f"dropout {head.dropout:g}"] if head.dropout else [])])


class StrategySpec(SuiteSection):
    name: Name
    """A name from `python -m bench list strategies`, or `recipe`."""
    options: dict[str, Any] = {}
    """The strategy's own options. Instead of a value, `{search: ...}` lets the search choose it along with the rate, in
    the same number of trials: `[low, high]`, `{range: [low, high], scale: log}` (or `linear`), `{choices: [2, 8]}`, or
    `default` where the strategy has a range of its own; `{lora: {search: default}}` takes all of these."""
    recipe: RecipeSpec | None = None
    """A recipe written inline, where name is `recipe`."""
    stop_early: StopSpec | None = None
    """Let the search choose, beside the rate, when to stop: at the best of several moments, by the validation examples.
    The final stops there too; its schedule is that of the whole budget. Unset: at the end. For strategies that train
    and are scored as they end: not for closed forms, `wise_ft` and `soup`."""
    head: HeadSpec | None = None
    """A head of this strategy's own, instead of the suite's."""

    @model_validator(mode="after")
    def _recipe_by_name(self) -> "StrategySpec":
        if (self.recipe is None) == (self.name == "recipe"):
            raise ValueError("a strategy is written inline under `recipe`, and then its name is 'recipe'")
        if self.recipe is not None and (self.options or self.stop_early):
            raise ValueError("an inline recipe takes no options; `stop_early` stands inside it")
        return self


class EngineSpec(SuiteSection):
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Arithmetic of training. `bf16`: autocast; weights and losses stay in full precision. `auto`: `bf16` on GPUs of
    compute capability 8.0 and above, and on CPUs that compute in it (AMX, AVX512-BF16) for networks without depthwise
    convolutions; else `fp32`. Records say why. TF32 is off."""
    partition: bool = True
    """Compute once what cannot change: the frozen part of a network, for every example that is used."""
    fleet: Annotated[int, Field(ge=1), BeforeValidator(whole)] | Literal["auto"] = "auto"
    """How many trainings may run as one, at most. `auto`: as many as a short trial on the device finds quickest."""
    deterministic: bool = False
    """Equal bits from equal runs on one GPU: sums are added up in the same order every time. It costs time there, and a
    training whose network needs an operation that cannot do so fails and says which one. bench/engine/README.md says
    what is equal without it."""


class RecordsSpec(SuiteSection):
    predictions: Keeps = "classes"
    """What each final tells of every test example, in a file beside its record. `bits`: whether it is right. `classes`:
    the predicted class, and the log-probabilities of this and of the true one. `full`: the probabilities of all classes
    too, where these take less than 64 MiB. Moves no number."""
    distances: bool = False
    """Measure how far each target lies from what its network learned before, where that happened inside the suite, and
    the terms of the bound of Ben-David et al. 2010. Records that are there already stay without. Moves no number."""
    forecasts: bool = False
    """Measure what cheap scores say, before any training, of how well each network will transfer (LogME, H-score,
    TransRate, PARC, GBC, CKA; LEEP and NCE where the network has its own classifier), on the labelled examples of each
    repeat. The page tells which score would have chosen the network well. Records that are there already stay without.
    Moves no number."""
    similarity: bool = False
    """Tell of each final how much every unit changed in training: linear CKA of what the unit puts out for up to 1,000
    test examples, before against after. For strategies that train in steps. Moves no number; finals that were there
    before a suite asked have none."""
    samples: bool = True
    """Keep a few examples of each data set beside the records, made small: the page shows some of each class, and those
    that are most often told wrong. A page is sent to colleagues; `false` keeps examples of the data out of it. Moves no
    number."""


class GateSpec(SuiteSection):
    margin: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.25
    """Points by which a cell may drop before `python -m bench gate` calls it a regression. bench/gate/README.md has the
    false alarms and the drops caught at 0.25 and 0.5."""
    must_see: Positive = 2.0
    """A drop in points that the gate is expected to catch; where it could not have, it says so."""


class VerdictsSpec(SuiteSection):
    margin: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    """Points within which a strategy counts as good as the baseline, where its difference surely lies between them."""
    reached: Share = 0.9
    """Where freezing is tried at several depths, the page tells after how many steps each strategy has come this share
    of the way from chance to where full fine-tuning ends."""


class DecisionSpec(SuiteSection):
    margin: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    """Points that a strategy may give up to the best, at most, and still be the one to take for its lower cost."""


# Of Windows, whatever stands behind a dot.
DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(1, 10))}


def _free(name: str) -> str:
    if name in ("pretrained", "baselines", "history"):
        raise ValueError(f"{name!r} is a folder of the results that all suites share; choose another name")
    if name.endswith(".") or name.partition(".")[0].upper() in DEVICES:
        raise ValueError(f"no folder can be called {name!r} on Windows; choose another name")
    return name


class Suite(SuiteSection):
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"), AfterValidator(_free)]
    """Names the results folder and the report: letters, digits, `_`, `.`, `-`; not `pretrained`, `baselines` or
    `history`."""
    description: str = ""
    """Shown at the top of the report."""
    transferability: TransferabilitySpec | None = None
    """The layer-transfer study of Yosinski et al. 2014, instead of datasets, backbones and strategies."""
    datasets: Annotated[tuple[DatasetSpec, ...], Field(min_length=1)]
    """What to learn, and from how many labels."""
    backbones: Annotated[tuple[BackboneSpec, ...], Field(min_length=1)]
    """Which networks to start from, and with which weights."""
    strategies: Annotated[tuple[StrategySpec, ...], Field(min_length=1)]
    """Which ways of transferring to compare."""
    pitfalls: tuple[PitfallName, ...] = ()
    """Common mistakes, made on purpose: each strategy on each pretrained backbone is run right, and once more with each
    mistake that can happen to it. Cells with a mistake are marked in [brackets] and never ranked; the page says what
    each mistake costs. bench/planning/pitfalls.py says what people do wrong, and what is right."""
    claims: tuple[ClaimSpec, ...] = ()
    """Sentences that people repeat about transfer, each decided on this suite's cells: *holds here*, *does not hold
    here* or *undecided*. Moves no number."""
    references: tuple[Name, ...] = ()
    """Files of published values that the page lays beside this suite's own, with what differs in how they were
    measured: paths from the suite's file, such as `references/vtab.yaml`. Moves no number."""
    head: HeadSpec = HeadSpec()
    """The new classifier that every training begins with, on every network: `zero`, `small`, `architecture`, or
    `{mlp: 256}`."""
    training: TrainingSpec = TrainingSpec(steps=200)
    """How every final and every trial trains."""
    search: SearchSpec = SearchSpec()
    """How each cell's learning rate is chosen."""
    engine: EngineSpec = EngineSpec()
    """How the arithmetic is done."""
    records: RecordsSpec = RecordsSpec()
    """What finals leave beside their numbers."""
    verdicts: VerdictsSpec = VerdictsSpec()
    """What the page calls as good as the baseline. Moves no number."""
    decision: DecisionSpec = DecisionSpec()
    """Which strategy the page says to take. Moves no number."""
    gate: GateSpec = GateSpec()
    """What the nightly gate calls a regression. Moves no number."""
    repeats: Count = 5
    """How often each cell is trained, each time on another subset, split, initialisation and order."""
    max_runs: Count = 20_000
    """Trainings that the suite may come to, at the most: a mistyped grid is told, by every command alike, before
    anything starts. `run --max-runs N` is short for `--set max_runs=N`. Moves no number."""
    seed: Whole = 0
    """Moves every subset, split, initialisation and order at once."""

    @model_validator(mode="after")
    def _a_study_makes_no_mistakes(self) -> "Suite":
        if self.pitfalls and self.transferability is not None:
            raise ValueError("pitfalls: a suite with `transferability` compares treatments, so it takes no pitfalls")
        if len(set(self.pitfalls)) < len(self.pitfalls):
            raise ValueError("pitfalls: one of them stands twice")
        return self
