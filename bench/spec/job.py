"""The content of a job: all that determines its numbers, defaults filled. Its digest is the job's key.

Paths, devices and labels are not here. `enumerate.py` fills these from a suite; `engine/` reads them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from bench.keys import LATER, PROTOCOL, digest_plain, plain_fields
from bench.spec.recipe import Recipe
from bench.spec.refs import BackboneRef, DataRef, Deployment, LabelBudget, NewHead, Pipeline, Search, Training
from bench.spec.spans import Varied


@dataclass(frozen=True)
class Procedure:
    """How a network is trained: all but the data, and what a search chooses."""

    recipe: Recipe
    training: Training
    pipeline: Pipeline


@dataclass(frozen=True)
class FitSpec:
    """One search (all its trials), one final, or the finals of what a search did not choose. The job's `kind`, which is
    in the key too, says which."""

    data: DataRef
    budget: LabelBudget
    backbone: BackboneRef
    recipe: Recipe
    pipeline: Pipeline
    training: Training
    search: Search
    head: NewHead
    repeat: int
    seed: int
    varied: Varied | None = None  # options that are searched with the rate; `recipe` is then that of their middle
    # Digest of what a list says of this repeat's labels (bench/datasets/split_lists.py); None: they are drawn.
    listed: str | None = field(default=None, metadata=LATER)
    # Mistakes that a final makes on purpose (bench/planning/pitfalls.py); None: not made.
    deployed: Deployment | None = field(default=None, metadata=LATER)
    rate_factor: float | None = field(default=None, metadata=LATER)  # on the rate that its search chose

    @property
    def procedure(self) -> Procedure:
        return Procedure(self.recipe, self.training, self.pipeline)


@dataclass(frozen=True)
class PretrainSpec:
    data: DataRef
    backbone: BackboneRef
    pipeline: Pipeline
    epochs: int
    batch_size: int
    optimizer: Literal["sgd", "adamw"]
    lr: float
    weight_decay: float
    shift: int
    seed: int
    # What is learned; None: the labels. `masked`: to fill in masked tokens, without them.
    objective: Literal["masked"] | None = field(default=None, metadata=LATER)
    deterministic: bool | None = field(default=None, metadata=LATER)  # as of a training: `refs.py`


Spec = FitSpec | PretrainSpec


@dataclass(frozen=True)
class Job:
    """The unit of scheduling. A search is done when all its trial records exist, else the one record says so."""

    kind: Literal["pretrain", "search", "final", "unchosen"]
    spec: Spec
    needs: tuple[str, ...] = ()  # keys of jobs whose outcome this one reads

    @property
    def content(self) -> dict[str, Any]:
        """As its records carry it, so that their keys can be told from them alone: `key_of`."""
        return {"protocol": PROTOCOL, "job": self.kind, "needs": list(self.needs), **plain_fields(self.spec)}

    @cached_property
    def key(self) -> str:
        return key_of(self.content)

    @cached_property
    def record_keys(self) -> tuple[str, ...]:
        if isinstance(self.spec, FitSpec) and self.kind == "search":
            return tuple(trial_key(self.key, number) for number in range(self.spec.search.trials))
        if isinstance(self.spec, FitSpec) and self.kind == "unchosen":
            return tuple(unchosen_key(self.key, number) for number in range(self.spec.search.trials - 1))
        return (self.key,)


def key_of(content: Mapping[str, Any]) -> str:
    """Raises KeyError where this is no job's content."""
    spec = {name: value for name, value in content.items() if name not in ("protocol", "job", "needs")}
    kind, needs = content["job"], content["needs"]
    return digest_plain({"protocol": content["protocol"], "kind": kind, "spec": spec, "needs": needs})


def trial_key(search_key: str, number: int, protocol: int = PROTOCOL) -> str:
    return digest_plain({"protocol": protocol, "kind": "trial", "search": search_key, "number": number})


def unchosen_key(job_key: str, number: int, protocol: int = PROTOCOL) -> str:
    """`number`: counts a search's trials without the chosen one."""
    return digest_plain({"protocol": protocol, "kind": "unchosen", "job": job_key, "number": number})
