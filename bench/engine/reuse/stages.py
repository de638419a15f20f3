"""The cheapest way to the same result: what of a network is computed once, for which images, and what trains.

The plan says which cuts of a network its cells will want (`Context.patterns`), so that one pass over the images fills
the tables of all of them.
"""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor

from bench import backbones, modalities
from bench.engine.common.context import Context, device_name
from bench.engine.common.start import Start
from bench.engine.reuse.cut import Cut, Whole, cut, join
from bench.engine.reuse.replay import Static
from bench.engine.train.evaluate import BATCH
from bench.engine.train.examples import Examples
from bench.engine.train.faults import is_out_of_memory
from bench.engine.train.inputs import Direct, FeatureTable, Supply, Tables, Through
from bench.engine.train.precision import arithmetic
from bench.engine.train.stage import Stage, Stages, plain_stages
from bench.keys import digest
from bench.modalities.base import Handling, Variation
from bench.network.flops import forward_flops
from bench.network.weights import sha256_of
from bench.planning.patterns import has_one_body, pattern_group
from bench.spec.job import FitSpec
from bench.spec.recipe import Learning

log = logging.getLogger(__name__)

FORMAT = 2  # of tables; a change makes old ones unknown, not wrong
VERSIONS = [torch.__version__, version("timm")]  # of what computes them
# Operations and bytes per second, as powers of ten that suffice to tell a bargain from a loss.
SPEED = {"cpu": (1e11, 3e9), "cuda": (3e13, 1e12)}
WORTH = 2.0  # how many times cheaper reading must be than computing
LARGEST = 2 << 30  # bytes of one table


@dataclass(frozen=True)
class KnownCut:
    """A cut and what is known of it."""

    cut: Cut
    sha256: str  # of its frozen weights
    is_worth_keeping: bool
    bytes_per_image: int


def stages_for(
    spec: FitSpec, begin: Start, learned: Sequence[Examples], context: Context, scored: Sequence[Examples] = ()
) -> Stages:
    """`learned`, `scored`: the sets that all images of these trainings come from, those that are only scored on apart;
    tables are made for whole sets."""
    plain = plain_stages(begin.network, spec.procedure)
    if not context.engine.partition:
        return plain
    if spec.recipe.penalty is not None and spec.recipe.penalty.reads == "images":
        return plain

    def stage(number: int) -> Stage:
        touched = spec.recipe.touched(number)
        _begin_again(begin, touched)
        known = None if touched.units[0] else _known(spec, begin, touched, learned[0], context)
        begin.network.set_active(spec.recipe.active(number))
        if known is None or isinstance(known, str):
            return replace(plain(number), whole=known or "")
        return _cut_stage(known, learned, scored, _Maker(spec, begin, number, context))

    return stage


def _cut_stage(
    known: KnownCut, learned: Sequence[Examples], scored: Sequence[Examples], maker: "_Maker"
) -> Stage:
    one, spec, training = known.cut, maker.spec, maker.spec.training
    handling = modalities.of(spec.pipeline).handling()
    how = handling.variation(training)
    through = Through(Direct(spec.pipeline, how), one.static, training.precision)
    still = Through(Direct(spec.pipeline), one.static, training.precision)
    bases = _bases([*learned, *scored], LARGEST // known.bytes_per_image)
    changed = max(map(len, learned)) * (how.num_views or 1)
    if not known.is_worth_keeping or max(changed, *map(len, bases)) * known.bytes_per_image > LARGEST:
        return Stage(one.live, through, still, "recomputed")
    plain = maker.tables(known, bases, handling.still())
    feed: Supply = plain
    if how.is_random:
        feed = maker.tables(known, learned, how) if how.num_views is not None else through
    return Stage(one.live, feed, plain, "kept")


def _bases(images: Sequence[Examples], most: int) -> list[Examples]:
    """What tables of unchanged images are made for. One of all images of a set serves every repeat that takes its
    training and test images from them, if it is not too large. `most`: images of a table."""
    wholes = [one.whole if one.is_shared else one for one in images]
    return wholes if max(map(len, wholes)) <= most else list(images)


def _begin_again(begin: Start, touched: Learning) -> None:
    """What no phase so far has trained is put back to the start: the network is shared, and whoever had it last may
    have left other weights in it."""
    state = begin.network.module.state_dict()
    with torch.no_grad():
        for name in set(state) - set(begin.network.moving(touched)):
            state[name].copy_(begin.state[name])


def _known(
    spec: FitSpec, begin: Start, touched: Learning, sample: Examples, context: Context
) -> KnownCut | str:
    """Text: the network runs whole, and this is why. A notice and the records say so."""
    name = digest([_body(spec), touched, spec.pipeline])
    shelf = context.cuts(begin.network)
    if name not in shelf:
        x = sample.take(torch.arange(2)).inputs(spec.pipeline)
        begin.network.set_active(touched)  # what was trained before stays live where it is frozen now
        found = cut(begin.network, x, modalities.of(spec.pipeline).handling().is_padded)
        if isinstance(found, Whole):
            context.notice(f"{spec.backbone.name} runs whole: {found.reason}")
            shelf[name] = found.reason
        else:
            shelf[name] = _measured(found, begin, x, context.device.type)
    known = shelf[name]
    assert isinstance(known, KnownCut | str)
    return known


def _body(spec: FitSpec) -> list[object]:
    """What the frozen weights depend on."""
    recipe, weights = spec.recipe, spec.backbone.weights
    labels = [spec.seed, spec.repeat, spec.data, spec.budget, spec.listed]
    drawn = [] if has_one_body(spec) else [recipe.init, recipe.reinit, *labels]
    return [weights.origin, weights.identity, *drawn]


def _measured(found: Cut, begin: Start, x: Tensor, device: str) -> KnownCut:
    values = found.static(x)
    size = sum(value.nbytes for value in values) // len(x)
    operations, bandwidth = SPEED.get(device, SPEED["cpu"])
    computing = forward_flops(found.static, (x,)) / len(x) / operations
    # Some networks have buffers that a state dict leaves out.
    tensors = {**begin.state, **{n: b for n, b in begin.network.module.named_buffers() if n not in begin.state}}
    frozen = {name: tensors[name] for name in found.frozen}
    return KnownCut(found, sha256_of(frozen), computing > WORTH * size / bandwidth, size)


@dataclass(frozen=True)
class _Maker:
    """Makes tables for one kind of network and data."""

    spec: FitSpec
    begin: Start
    phase: int
    context: Context

    @property
    def handling(self) -> Handling:
        return modalities.of(self.spec.pipeline).handling()

    def tables(self, known: KnownCut, bases: Sequence[Examples], how: Variation) -> Tables:
        by_origin: dict[str, FeatureTable] = {}
        for base in {(base.origin, _rows_name(base)): base for base in bases}.values():
            table = self._table(known, base, how)
            if base.origin in by_origin:
                table = _both(by_origin[base.origin], table, how)
            by_origin[base.origin] = table
        return Tables(by_origin, self.handling, how)

    def _table(self, known: KnownCut, base: Examples, how: Variation) -> FeatureTable:
        keys = self._keys(known, base, how)
        group = digest(["group", known.sha256, base.origin, _rows_name(base)])
        values = self.context.features.get(keys, group, lambda: self._compute(known, base, how))
        where = torch.full((base.split_size,), -1, device=base.device)
        rows = torch.arange(len(base))
        where[(rows if base.rows is None else base.rows).to(base.device)] = rows.to(base.device)
        return FeatureTable(tuple(values), where, len(base))

    def _keys(self, known: KnownCut, base: Examples, how: Variation) -> list[str]:
        spec = self.spec
        # Strides, paddings and the like are in no tensor: the backbone's name and options stand for them.
        entry = backbones.find(spec.backbone.name)
        versions = [*VERSIONS, *map(version, entry.libraries if entry is not None else ())]
        network = [spec.backbone.name, spec.backbone.options, spec.recipe.adapt, versions, known.sha256]
        device = self.context.device
        kind = [] if device.type == "cpu" else [device_name(device)]  # another kind rounds otherwise
        kind += ["deterministic"] if spec.training.deterministic else []
        images = [spec.pipeline, spec.training.precision, base.origin, _rows_name(base), how, *kind]
        return [digest([FORMAT, network, images, one]) for one in known.cut.names]

    def _compute(self, known: KnownCut, base: Examples, how: Variation) -> dict[str, Tensor]:
        """Of this cut, and of all others that the plan will want of these images."""
        num_images = len(base) * (how.num_views or 1)
        wanted = [known, *(one for one in self._others(known, base) if num_images * one.bytes_per_image <= LARGEST)]
        joint = join([one.cut for one in wanted])
        size = self.handling.per_pass(self.spec.pipeline)
        if self.context.device.type == "cuda":
            size = max(size, BATCH)  # its caches are nothing to spare, and few examples leave it idle
        while True:
            try:
                whole = self._run(joint, base, how, size)
                break
            except (RuntimeError, MemoryError) as error:
                if size == 1 or not is_out_of_memory(error):
                    raise
                size //= 2
        return {
            key: whole[name]
            for one in wanted
            for key, name in zip(self._keys(one, base, how), one.cut.names, strict=True)
        }

    def _run(self, joint: Static, base: Examples, how: Variation, size: int) -> dict[str, Tensor]:
        found: dict[str, list[Tensor]] = {}
        for x in self._views(base, how, size):
            with torch.no_grad(), arithmetic(x.device, self.spec.training.precision):
                for name, value in zip(joint.names, joint(x), strict=True):
                    found.setdefault(name, []).append(value.cpu())  # from there to the file
        return {name: torch.cat(parts) for name, parts in found.items()}

    def _views(self, base: Examples, how: Variation, size: int) -> Iterator[Tensor]:
        """All inputs in batches, one view of all examples after the other."""
        for number in range(how.num_views or 1):
            for start in range(0, len(base), size):
                index = torch.arange(start, min(start + size, len(base)))
                part: Any = base.take(index).values
                if how.is_random:
                    rows = index if base.rows is None else base.rows[index]
                    part = self.handling.view(part, how, rows, torch.full((len(index),), number))
                yield self.handling.inputs([part], self.spec.pipeline)

    def _others(self, known: KnownCut, base: Examples) -> Iterator[KnownCut]:
        spec, mine = self.spec, self.spec.recipe.touched(self.phase)
        for touched in self.context.patterns.get(pattern_group(spec), ()) if has_one_body(spec) else ():
            # After the first phase some units of the network are no longer as they were at the start.
            moves = self.begin.network.moving
            is_start = self.phase == 0 or set(moves(mine)) <= set(moves(touched))
            other = _known(spec, self.begin, touched, base, self.context) if is_start else None
            if isinstance(other, KnownCut) and other.is_worth_keeping and other.cut.names != known.cut.names:
                yield other


def _both(one: FeatureTable, other: FeatureTable, how: Variation) -> FeatureTable:
    """Rows that stand in both hold the same values."""
    num_views = how.num_views or 1
    blocks = [
        torch.cat([part for view in range(num_views) for part in (_block(a, one, view), _block(b, other, view))])
        for a, b in zip(one.values, other.values, strict=True)
    ]
    where = torch.where(other.where >= 0, other.where + one.num_rows, one.where)
    return FeatureTable(tuple(blocks), where, one.num_rows + other.num_rows)


def _block(values: Tensor, table: FeatureTable, view: int) -> Tensor:
    return values[view * table.num_rows : (view + 1) * table.num_rows]


def _rows_name(base: Examples) -> str:
    if base.rows is None:
        return "all"
    return hashlib.sha256(base.rows.numpy().tobytes()).hexdigest()
