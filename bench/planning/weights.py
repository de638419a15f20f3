"""Which weights a backbone of a suite begins with, where they are not made inside it, and the file that holds them."""

from pathlib import Path

from bench import backbones
from bench.backbones import encoders, hub
from bench.backbones.base import BackboneFacts, Found
from bench.datasets.files import digests_of
from bench.errors import BenchError, Missing
from bench.keys import digest
from bench.places import DATA, find_file, near_file
from bench.planning.problems import Problems
from bench.spec.refs import Weights
from bench.suite.schema import BackboneSpec


def weights_of(found: Found, spec: BackboneSpec, problems: Problems) -> tuple[Weights, Path | None]:
    """Of a network whose files were found: what lies beside its configuration, where a suite names nothing else."""
    if spec.weights == "random":
        return Weights("random"), None
    if spec.weights not in (None, "hub"):
        return file_weights(spec.weights, problems)
    written = digest([spec.name, "weights"])
    if written in problems.kept.weights:
        return Weights("file", problems.kept.weights[written]), None
    if found.weights is None and found.on_hub:
        raise encoders.lacking(found.on_hub, can_fetch=True)
    if found.weights is None:
        raise BenchError(f"{found.short}: no weights in one file (model.safetensors or pytorch_model.bin) beside its "
                         "configuration; give `weights: random`, or the path of a checkpoint")
    problems.finds.weights[written] = digests_of([found.weights])[0]
    return Weights("file", problems.finds.weights[written]), found.weights


def outside_weights(spec: BackboneSpec, facts: BackboneFacts, problems: Problems) -> tuple[Weights, Path | None]:
    """And the file; an earlier run's may be gone, but its name is known."""
    is_timm = backbones.find(spec.name) is None
    wanted = spec.weights or ("hub" if is_timm else "random")
    if wanted == "random":
        return Weights("random"), None
    if wanted == "hub":
        if not is_timm or not facts.has_hub_weights:
            raise BenchError(
                f"{spec.name!r} has no weights on the hub; give `weights: random`, the path of a checkpoint, "
                "or `pretrain: {dataset: ...}`"
            )
        return hub_weights(backbones.full_name(spec.name), problems)
    return file_weights(wanted, problems)


def file_weights(wanted: str, problems: Problems) -> tuple[Weights, Path]:
    written = digest([wanted])
    if written in problems.kept.weights:
        return Weights("file", problems.kept.weights[written]), Path(wanted)
    beside = problems.loaded.path.parent
    path = find_file(wanted, beside) or find_file(f"{hub.FOLDER}/{wanted}", beside)
    if path is None or not path.is_file():
        way = f"no file of this name here, nor beside the suite, nor in a folder of {DATA}"
        near = near_file(wanted, beside)
        raise Missing("weights", wanted, f"{way}, nor `hub` or `random`{near}")
    problems.finds.weights[written] = digests_of([path])[0]
    return Weights("file", problems.finds.weights[written]), path


def hub_weights(name: str, problems: Problems) -> tuple[Weights, Path]:
    """Named by the file's content too: a tag's weights may be replaced."""
    if name in problems.kept.weights:
        return Weights("hub", problems.kept.weights[name]), Path(hub.file_name(name))
    path = hub.find(name)
    if path is None:
        way = f"put {hub.file_name(name)} into {hub.FOLDER}/ of a folder of {DATA}"
        raise Missing("weights", name, way, can_fetch=True)
    problems.finds.weights[name] = f"{name}@{digests_of([path])[0]}"
    return Weights("hub", problems.finds.weights[name]), path
