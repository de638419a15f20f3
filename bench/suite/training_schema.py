"""How every training goes, as a suite says it: the step budget, the optimizer, random changes of the examples."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from bench.suite.numbers import Below1, Count, Positive, Rate, Share, whole
from bench.suite.section import SuiteSection


class TextAugmentSpec(SuiteSection):
    mask: Below1 = 0.0
    """Share of a text's tokens that become the mask token, each on its own; the first and the last stay."""
    drop: Below1 = 0.0
    """Share of a text's tokens that the network does not see; the first and the last stay."""

    @model_validator(mode="after")
    def _something_stays(self) -> "TextAugmentSpec":
        if self.mask + self.drop >= 1:
            raise ValueError(f"mask and drop take {self.mask + self.drop:g} of the tokens together; leave some")
        return self


class SoundAugmentSpec(SuiteSection):
    shift: Below1 = 0.0
    """Move training clips by up to this share of their length, each on its own; what comes in is silence."""
    noise: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = 0.0
    """Add white noise to what the network sees of a clip, its wave or its log-mel energies, with a spread of up to this
    share of the clip's own."""
    time_masks: Annotated[int, Field(ge=0, le=16), BeforeValidator(whole)] = 0
    """Hide so many stretches of time, each of any width up to `widest` (SpecAugment, Park et al. 2019)."""
    mel_masks: Annotated[int, Field(ge=0, le=16), BeforeValidator(whole)] = 0
    """Hide so many bands of frequencies likewise. Networks that take waves see no bands and lose none."""
    widest: Share = 0.125
    """The widest mask, as a share of a clip's length or of its bands."""


class AugmentSpec(SuiteSection):
    flip: bool = False
    """Mirror training images left to right with probability one half, each on its own."""
    shift: Annotated[int, Field(ge=0), BeforeValidator(whole)] = 0
    """Move training images by up to so many pixels, each on its own."""
    crop: Share | None = None
    """Random resized crops: of each training image a rectangle of its own is shown, at least this share of its area and
    with sides from 3:4 to 4:3, resized to the network's input. Unset: the whole image."""
    views: Annotated[int, Field(ge=0, le=64), BeforeValidator(whole)] = 0
    """Draw so many changed views of each example once and choose among them, so that what is frozen need see each view
    only once. 0: examples are changed anew in every step (flips alone make two views by themselves)."""
    text: TextAugmentSpec | None = None
    """Random changes of training texts. Unset: texts stay as they are."""
    sound: SoundAugmentSpec | None = None
    """Random changes of training clips, where there are any."""


class TrainingSpec(SuiteSection):
    steps: Count | None = None
    """Optimizer steps of every training, whatever its strategy. Unset: 200 (unless epochs is given)."""
    epochs: Count | None = None
    """Step budget as passes over the labelled examples instead."""
    flops: Positive | Literal["full_finetune"] | None = None
    """Equal FLOPs for every strategy instead of equal steps: a number of them, in place of `steps` and `epochs`; or
    `full_finetune`, what that spends in these steps on the same network and labels. Each strategy takes as many steps
    as come nearest to it, and `python -m bench plan` says how many. Closed forms take none."""
    batch_size: Count = 32
    """Examples per step."""
    optimizer: Literal["auto", "sgd", "adamw"] = "auto"
    """The same for every strategy. `auto`: SGD for networks with BatchNorm, AdamW for those without (transformers,
    ConvNeXt)."""
    momentum: Below1 = 0.9
    """SGD only, Nesterov's."""
    weight_decay: Rate | None = None
    """Used where search.weight_decay is unset. Unset: 5e-4 for SGD, 0.05 for AdamW."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """How the rate falls over the step budget."""
    warmup: Below1 = 0.1
    """Share of the step budget during which the rate rises from 0."""
    label_smoothing: Below1 = 0.0
    """Share of the target spread evenly over all classes."""
    augment: AugmentSpec = AugmentSpec()
    """Random changes of the training examples."""
    evaluations: Count = 5
    """How often a final is scored along its training; the last one counts, the others are diagnosis."""

    @model_validator(mode="before")
    @classmethod
    def _fill_steps(cls, value: Any) -> Any:
        if not isinstance(value, dict) or isinstance(value.get("flops"), int | float):
            return value
        if value.get("steps") is None and value.get("epochs") is None:
            return {**value, "steps": 200}
        return value

    @model_validator(mode="after")
    def _one_budget(self) -> "TrainingSpec":
        if self.steps is not None and self.epochs is not None:
            raise ValueError("give either steps or epochs, not both")
        if isinstance(self.flops, float) and (self.steps is not None or self.epochs is not None):
            raise ValueError("give either flops or steps (or epochs), or `flops: full_finetune` beside these")
        return self
