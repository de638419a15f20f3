"""How many trainings run as one on this device, and in which form: a short trial decides, once for each kind of work.

Forms come to the same numbers up to rounding, so the choice is in no key; it is kept for the machine, so that what runs
again computes as it did before, and every record tells of it.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median

import torch
from torch import nn

from bench.engine.common.context import Context, device_name
from bench.engine.common.start import Start
from bench.engine.fleet.fleet import Fleet, MakeForm
from bench.engine.fleet.forms import Form, head_form, vmap_form
from bench.engine.train.examples import Examples
from bench.engine.train.faults import pass_on
from bench.engine.train.inputs import Inputs, Share
from bench.engine.train.meter import finish
from bench.engine.train.optimize import Hyper
from bench.engine.train.solo import Solo, Team
from bench.engine.train.stage import Stage, Stages
from bench.keys import digest
from bench.network.flops import step_flops
from bench.network.units import Network
from bench.spec.job import FitSpec
from bench.store.remembered import find_out_once

log = logging.getLogger(__name__)

FORMS: dict[str, Callable[[nn.Module, Inputs], Form | None]] = {
    "head": head_form,
    "vmap": vmap_form,
}
FORMAT = 6  # of the files that keep a choice
GAIN = 1.3  # a fleet must be so much faster for each replica to be worth its memory
TIMED = 5  # steps of each, after one that warms up
WIDTHS = {"cpu": (16,), "cuda": (8, 32)}  # replicas that are tried
LARGEST = {"cpu": 1.5e8, "cuda": 2e11}  # FLOPs of one replica's step that keep the device busy without company


@dataclass(frozen=True)
class FleetChoice:
    width: int = 1  # replicas, all streams together
    form: str = "alone"


def choose_form(spec: FitSpec, begin: Start, stages: Stages, images: Examples, context: Context) -> FleetChoice:
    """`images`: some that these trainings use. Heads need no trial: one matrix product is always best."""
    limit = context.engine.fleet
    if limit == 1 or spec.recipe.trains_alone:
        return FleetChoice()
    begin.renew()  # others may have left anything in the network
    most = 10_000 if limit == "auto" else limit
    if not any(any(phase.rates[:-1]) for phase in spec.recipe.phases):
        stage = stages(0)
        if not stage.whole and head_form(stage.live, ()) is not None:
            return FleetChoice(most, "head")
    if _work(spec, begin.network, context) > LARGEST.get(context.device.type, 0):
        return FleetChoice()
    path = context.forms / f"{_name(spec, context)}.json"
    found = find_out_once(path, lambda: asdict(_fastest(spec, begin, stages, images, context)), context.notice)
    kept = FleetChoice(**found)
    return FleetChoice(min(kept.width, most), kept.form) if most > 1 else FleetChoice()


def without_fault(find: Callable[[], FleetChoice], context: Context) -> FleetChoice:
    """If trying out forms fails, nothing trains together; no training is to blame."""
    try:
        return find()
    except Exception as error:
        pass_on(error)
        context.notice(f"no fleet: {type(error).__name__}: {error}".splitlines()[0])
        return FleetChoice()


def form_maker(examples: Callable[[Stage], Inputs]) -> MakeForm:
    """The first form that a stage's network has. `examples`: a batch [B, ...] as it takes it."""

    def make(stage: Stage) -> tuple[str, Form]:
        module = stage.live
        for name, make_form in FORMS.items():
            form = make_form(module, examples(stage))
            if form is not None:
                return name, form
        raise RuntimeError(f"{type(module).__name__} has no form for a fleet")

    return make


def _work(spec: FitSpec, network: Network, context: Context) -> float:
    active = spec.recipe.active(len(spec.recipe.phases) - 1)
    return step_flops(network, active, spec.pipeline, spec.training.batch_size, context.flops(network))


def _fastest(spec: FitSpec, begin: Start, stages: Stages, images: Examples, context: Context) -> FleetChoice:
    begin.renew()
    index = torch.arange(spec.training.batch_size) % len(images)
    inputs = stages(len(spec.recipe.phases) - 1).plain.batches([Share(images, index)])
    examples = tuple(value[0] for value in inputs)
    hyper = Hyper(spec.search.lr_low, spec.search.weight_decay)
    alone = Solo(begin.network, spec.procedure, hyper, begin.renew)
    _seconds([alone], spec, stages, inputs)  # what fails alone says nothing of fleets: no choice is kept
    best, least = FleetChoice(), 1 / GAIN

    def of_a_fleet(width: int) -> tuple[float, str]:
        """What a step of one replica takes, as a share of one that trains alone, and the form. The fleet is gone before
        the next one is built."""
        fleet = Fleet(begin.network, spec.procedure, [[hyper] * width], [begin.state], form_maker(lambda _: examples))
        one, all_together = _seconds([alone, fleet], spec, stages, inputs)
        return all_together / width / one, fleet.form

    for width in WIDTHS.get(context.device.type, ()):
        try:
            share, form = of_a_fleet(width)
        except RuntimeError as error:  # no such form, or out of memory
            pass_on(error)
            log.info("no fleet of %d: %s", width, error)
            break
        if share < least:
            best, least = FleetChoice(width, form), share
    log.info("%s: %s", spec.backbone.name, f"{best}, a step takes {least:.2g} of one alone" if best.width > 1 else best)
    return best


def _seconds(teams: Sequence[Team], spec: FitSpec, stages: Stages, inputs: Inputs) -> list[float]:
    """Of each one's step in the last phase: the median of several. They take turns, so that whatever else the device
    does at the time meets all of them."""
    last = len(spec.recipe.phases) - 1
    labels = torch.zeros(inputs[0].shape[:2], dtype=torch.int64, device=inputs[0].device)
    rates = tuple(0.0 * rate for rate in spec.recipe.phases[last].rates)
    times: list[list[float]] = [[] for _ in teams]
    for team in teams:
        team.resume()
        team.enter(stages(last), spec.recipe.active(last), last)
    for _ in range(TIMED + 1):
        for team, took in zip(teams, times, strict=True):
            team.resume()
            finish(labels.device)
            began = time.perf_counter()
            team.step(inputs, labels, rates)
            finish(labels.device)
            took.append(time.perf_counter() - began)
    return [median(took[1:]) for took in times]  # the first step warms up


def _name(spec: FitSpec, context: Context) -> str:
    last = len(spec.recipe.phases) - 1
    return digest([
        FORMAT, device_name(context.device), context.provenance.get("processor"), torch.__version__,
        torch.get_num_threads(), context.sharing, context.engine.partition,
        spec.backbone.name, spec.backbone.options, spec.data.num_classes, spec.pipeline,
        spec.recipe.touched(last), spec.recipe.active(last), spec.recipe.adapt,
        spec.training.batch_size, spec.training.optimizer, spec.training.precision, spec.training.deterministic,
    ])  # fmt: skip
