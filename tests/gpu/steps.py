"""What `check.py` measures, one process each: `python -m tests.gpu.steps NAME --folder F [--pretend]`.

With `--pretend` the same code runs on small work and the pretend device; quickstart's commands run on the CPU, since a
worker process knows nothing of that device, and the end of memory is made up.
"""

import argparse
import contextlib
import dataclasses
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from torch.nn import functional as F

from bench.datasets.base import Split
from bench.engine.train import precision
from bench.engine.train.examples import Examples
from bench.engine.train.loop import Session, Stream
from bench.engine.train.optimize import Hyper, make_optimizer, set_rates
from bench.engine.train.solo import Solo
from bench.engine.train.stage import plain_stages
from bench.network.build import build_network
from bench.network.flops import step_flops
from bench.network.units import Network
from bench.spec.job import Procedure
from bench.spec.refs import BackboneRef, Pipeline, Training, Weights
from bench.store import Store
from tests.benchmarks import plain, workshop
from tests.gpu.figures import tell
from tests.gpu.pretend import DEVICE, pretend_device

BASE = Training(10_000, 128, "sgd", 0.9, "constant", 0.0, 0.0, False, 0, 0, 1, "bf16")
HYPER = Hyper(0.01, 0.0)


@dataclass(frozen=True)
class Sizes:
    """How much work."""

    networks: tuple[tuple[str, int, int], ...] = (("resnet50", 224, 128), ("vit_base_patch16_224", 224, 128))
    images: int = 1024  # resident, of a training
    steps: int = 20  # that are timed
    warm_up: int = 5
    product: int = 8192  # side of the matrices whose product says what the chip can do
    small: tuple[int, int, int] = (3, 10, 60)  # repeats, trials and steps of the small networks
    probe: tuple[int, int, int] = (1500, 64, 80)  # images, side and steps of the probe search
    probe_trials: tuple[int, int] = (3, 10)  # repeats, rates
    big_batch: tuple[int, int] = (1024, 160)  # a batch and a side that do not fit into `memory`
    memory: int = 4 << 30


SMALL = Sizes(
    networks=(("resnet18", 32, 4),), images=8, steps=2, warm_up=1, product=64, small=(1, 2, 2), probe=(60, 32, 2),
    probe_trials=(1, 2), big_batch=(8, 32),
)  # fmt: skip


def seconds(run: Callable[[], object]) -> float:
    torch.cuda.synchronize()
    started = time.perf_counter()
    run()
    torch.cuda.synchronize()
    return time.perf_counter() - started


def training(sizes: Sizes, folder: Path, is_pretend: bool) -> None:
    """Full fine-tuning, images on the device: the engine, a good plain loop, and the chip's products of matrices."""
    one = torch.randn(sizes.product, sizes.product, device=DEVICE, dtype=torch.bfloat16)
    one @ one
    rate = 10 * 2 * sizes.product**3 / seconds(lambda: [one @ one for _ in range(10)])
    tell("products of matrices, bf16", rate / 1e12, "TFLOP/s")
    for name, side, batch in sizes.networks:
        network = build_network(BackboneRef(name, {}, "coarse", Weights("random")), 100, 0)
        network.module.to(DEVICE, memory_format=torch.channels_last)
        procedure = Procedure(
            workshop.recipe("full_finetune", network.num_units), dataclasses.replace(BASE, batch_size=batch),
            Pipeline(side, (0.5,) * 3, (0.25,) * 3),
        )  # fmt: skip
        draw = np.random.default_rng(0)
        pixels = draw.integers(0, 256, (sizes.images, side, side, 3), np.uint8)
        split = Split.of_images(pixels, draw.integers(0, 100, sizes.images))
        images = Examples.on_device(split, DEVICE)
        torch.cuda.reset_peak_memory_stats()
        session = Session(Solo(network, procedure, HYPER), plain_stages(network, procedure), [Stream(images, 0)])
        session.advance(sizes.warm_up, set())
        ours = seconds(lambda session=session: session.advance(sizes.warm_up + sizes.steps, set()))
        peak = torch.cuda.max_memory_allocated()
        theirs = plain_loop(network, procedure, images, sizes)
        speed = sizes.steps * batch / ours
        work = step_flops(network, procedure.recipe.active(0), procedure.pipeline, batch, {}) / batch
        tell(f"{name}, {side} px, batch {batch}, bf16", speed, "images/s")
        tell(f"{name}: plain loop's time / engine's", theirs / ours, "x", ">= 1.0")
        tell(f"{name}: share of the chip's products", work * speed / rate)
        tell(f"{name}: memory at most", peak / 1e9, "GB")


def plain_loop(network: Network, procedure: Procedure, images: Examples, sizes: Sizes) -> float:
    """Seconds of as many steps: resident, channels_last, autocast, kernels tried out, and no wait."""
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = True, False
    module = network.module.train()
    optimizer = make_optimizer(network, procedure.training, HYPER)
    set_rates(optimizer, (1.0,) * network.num_units, HYPER.lr)
    pixels, labels = images.values[0], images.labels
    mean, std = (
        torch.tensor(values, device=DEVICE).view(1, 3, 1, 1)
        for values in (procedure.pipeline.mean, procedure.pipeline.std)
    )
    size = procedure.training.batch_size
    num = sizes.warm_up + sizes.steps
    order = torch.stack([torch.randperm(len(labels))[:size] for _ in range(num)]).to(DEVICE)

    def step(index: torch.Tensor) -> None:
        x = pixels.index_select(0, index).float().div_(255).sub_(mean).div_(std)
        with torch.autocast("cuda", torch.bfloat16):
            logits = module(x.contiguous(memory_format=torch.channels_last))
        F.cross_entropy(logits.float(), labels[index]).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    for index in order[: sizes.warm_up]:
        step(index)
    found = seconds(lambda: [step(index) for index in order[sizes.warm_up :]])
    precision.set_explicitly()
    return found


def make_shop(folder: Path) -> workshop.Workshop:
    folder.mkdir(parents=True, exist_ok=True)
    shop = workshop.Workshop(folder)
    shop.device = DEVICE
    return shop


def small_networks(sizes: Sizes, folder: Path, is_pretend: bool) -> None:
    """One by one, and as the engine chooses, which it tries out before."""
    from tests.benchmarks.test_small_nets import Nets, forms_of, jobs_of

    shop = make_shop(folder)
    repeats, trials, steps = sizes.small
    ref = shop.blobs(8, 300)
    nets = Nets(shop, ref, jobs_of(ref, 1, repeats, steps=steps, batch_size=32, trials=trials))
    nets.run()  # finds out the form
    alone = seconds(lambda: nets.run(fleet=1))
    started = time.perf_counter()
    found = nets.run()
    chosen = time.perf_counter() - started
    tell("form and width", ", ".join(f"{form} x {width}" for form, width in forms_of(found)))
    tell(f"{repeats * trials} ResNet-8 at 8 px: one by one / together", alone / chosen, "x", ">= 6")


def probe_search(sizes: Sizes, folder: Path, is_pretend: bool) -> None:
    """One trial with a loader, times the number of trials, against the whole search from an empty folder."""
    shop = make_shop(folder)
    images, side, steps = sizes.probe
    repeats, rates = sizes.probe_trials
    ref, weights = shop.blobs(side, images), shop.resnet18(side)
    jobs = workshop.searches(
        workshop.spec(ref, weights, workshop.recipe("linear_probe"), precision="bf16", steps=steps, repeat=repeat,
                      trials=rates, lr_high=1.0)
        for repeat in range(repeats)
    )  # fmt: skip
    trial = plain.Trial(jobs[0].spec, shop.context(ref))
    loop = trial.in_memory if is_pretend else trial.with_loader  # a loader's processes know of no pretend device
    loader = seconds(lambda: loop(workshop.rates(jobs[0].spec)[0]))
    workshop.run(jobs, shop.context(ref, jobs), together=True)  # libraries are loaded, kernels chosen
    engine = seconds(lambda: workshop.run(jobs, shop.context(ref, jobs), together=True))
    tell("probe search, ResNet-18: loader loop / engine", repeats * rates * loader / engine, "x", ">= 100")


def memory(sizes: Sizes, folder: Path, is_pretend: bool) -> None:
    """A batch that does not fit is told, and what comes after it trains; cut in pieces where that is the same."""
    shop = make_shop(folder)
    batch, side = sizes.big_batch
    ref = shop.blobs(side, batch + batch // 2 + 20)  # a third of them for validation
    full = torch.cuda.get_device_properties(0).total_memory
    if is_pretend:
        ends = mock.patch.object(Solo, "_backward", _ends_beyond(batch // 2, Solo._backward))
    else:
        torch.cuda.set_per_process_memory_fraction(sizes.memory / full)
        ends = contextlib.nullcontext()
    cases = [("resnet18", side, batch, "oom"), ("resnet18", side, 4, "ok")]
    if not is_pretend:
        cases.append(("vit_tiny_patch16_224", 224, batch, "ok"))  # no BatchNorm: the batch is cut into pieces
    with ends:
        for name, pixels, size, expected in cases:
            backbone = BackboneRef(name, {}, "coarse", Weights("random"))
            recipe = workshop.recipe("full_finetune", build_network(backbone, 10, 0).num_units)
            spec = workshop.spec(ref, backbone, recipe, steps=2, trials=1, batch_size=size, side=pixels)
            ((record,),) = workshop.run(workshop.searches([spec]), shop.context(ref, fleet=1))
            tell(f"{name}, batch {size}", record.status, bar=expected)
            if record.status != expected:
                raise SystemExit(f"{name}, batch {size}: {record.status} instead of {expected}: {record.error}")


def _ends_beyond(most: int, real: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    def backward(solo: Solo, inputs: tuple[torch.Tensor, ...], labels: torch.Tensor) -> torch.Tensor:
        if -(-len(labels) // solo.pieces) > most:
            raise torch.OutOfMemoryError("CUDA out of memory (pretended)")
        return real(solo, inputs, labels)

    return backward


PRETEND_SUITE = """
name: quickstart
datasets: [{name: digits, labels_per_class: [3]}]
backbones: [{name: small_resnet, pretrain: {dataset: source, epochs: 1}}]
strategies: [linear_probe]
training: {steps: 2, batch_size: 8}
search: {trials: 1}
repeats: 1
"""


def quickstart(sizes: Sizes, folder: Path, is_pretend: bool) -> None:
    """The same suite on the card, on the CPU, and with two workers on the card."""
    folder.mkdir(parents=True, exist_ok=True)
    suite = "suites/quickstart.yaml"
    if is_pretend:
        suite = str(folder / "suite.yaml")
        Path(suite).write_text(PRETEND_SUITE)
    card = ("--gpus", "0" if is_pretend else "1")
    ways = {"card": (*card, "--workers", "1"), "CPU": ("--gpus", "0"), "two": (*card, "--workers", "2")}
    scores, took = {}, {}
    for name, options in ways.items():
        where = ("--results", str(folder / name), "--reports", str(folder / name / "reports"))
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "bench", "run", suite, *where, *options], check=True)
        took[name] = time.perf_counter() - started
        scores[name] = finals(folder / name / "quickstart")
    tell("quickstart on the card", took["card"], "s", "<= 40")
    tell("quickstart on this machine's CPU", took["CPU"], "s")
    tell("quickstart on the card, two workers", took["two"], "s")
    for name, others in (("CPU", "CPU and card"), ("two", "one worker and two")):
        apart = [abs(score - scores[name][key][0]) * num for key, (score, num) in scores["card"].items()]
        tell(f"test images that {others} score otherwise, at most", max(apart), "images", "a few")


def finals(root: Path) -> dict[str, tuple[float, int]]:
    """Score and test images of each final, by what it is of. Keys differ: weights are named by their bytes."""
    store = Store(root)
    found = {}
    for record in filter(None, map(store.read, store.scan()[0])):
        if record.kind == "final" and record.status == "ok":
            of = record.spec
            found[str((of["data"]["name"], of["recipe"], of["repeat"]))] = (
                record.result["score"], record.result["num_test"]
            )  # fmt: skip
    return found


STEPS = {
    "training": training, "quickstart": quickstart, "small networks": small_networks, "probe search": probe_search,
    "memory": memory,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=STEPS)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--pretend", action="store_true")
    given = parser.parse_args()
    step = STEPS[given.name]
    if not given.pretend:
        assert torch.cuda.is_available(), "no card; --pretend runs without one"
        precision.set_explicitly()
        step(Sizes(), given.folder, False)
    elif step is quickstart:
        step(SMALL, given.folder, True)
    else:
        torch.set_num_threads(1)
        with pretend_device():
            step(SMALL, given.folder, True)


if __name__ == "__main__":
    main()
