"""What the commands of this folder share: a small suite with one of everything, run once without a break."""

import contextlib
import hashlib
import json
import math
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.store import Store, predictions
from tests.datasets.pictured import COLOURS, class_folders
from tests.execute.running import Launcher, environment_in, finish, launched, locks_are_free, numbers, record_files

# Drawn and decoded data, a pretraining, fleets and closed forms on tables of features: fifteen seconds, start included.
SUITE = """
name: small
datasets:
  - {name: near, labels_per_class: 2, options: {train_per_class: 8, test_per_class: 4}}
  - {name: "folder:pictures", label: pictures, labels_per_class: 4, options: {side: 16}}
backbones:
  - name: small_resnet
    options: {width: 4}
    pretrain: {dataset: source, epochs: 2, options: {train_per_class: 40, test_per_class: 4}}
strategies: [scratch, linear_probe, ridge_probe]
training: {steps: 4, batch_size: 8, evaluations: 1}
search: {scope: cell, trials: 3, sampler: tpe, pruner: none, validation: holdout, holdout: 0.5}
repeats: 2
"""
NUM_RECORDS = 1 + 2 * 3 * (3 + 2)
PAUSING = Path(__file__).resolve().parent / "pausing"


@dataclass(frozen=True)
class Scene:
    folder: Path
    launcher: Launcher
    unbroken: Path  # the suite's results and reports, made without a break
    expected: dict[str, str]  # the numbers of each record there

    def run(self, place, *arguments, **how):
        return self.launcher.run(place, *arguments, **{"text": SUITE, **how})

    def copy(self, name):
        return Path(shutil.copytree(self.unbroken, self.folder / name))

    def same(self, place):
        """How many records are equal to the bit to those of the run without a break."""
        found = numbers(place)
        return sum(found.get(name) == text for name, text in self.expected.items())

    def rounded(self, place):
        """How many others differ by rounding alone: finals whose fleet was cut apart, as bench/README.md says."""
        found = {name: text for name, text in numbers(place).items() if text != self.expected.get(name)}
        return sum(is_close(json.loads(text), json.loads(self.expected.get(name, "0"))) for name, text in found.items())


def is_close(one, other):
    """But for the digest of what was said of every example, which follows the last bit."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(
            name == "predictions" or is_close(value, other[name]) for name, value in one.items()
        )
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_close, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-5, abs_tol=1e-6)
    return one == other


def finals(place):
    """path -> content."""
    found = {path: json.loads(path.read_text()) for path in place.glob("results/small/runs/*/*.json")}
    return {path: raw for path, raw in sorted(found.items()) if raw["kind"] == "final"}


def forget(place, what):
    """"finals", "trainings" (and all that they left), "data" (and all that was made of them). Never what begins with a
    dot, if it is no cache: whether that is tidied up is a question to the product."""
    results = place / "results"
    if what == "finals":
        paths = list(finals(place))
    else:
        paths = [path for pattern in ("*/runs/??/[!.]*", "pretrained/weights/??/[!.]*", ".cache/features/[!.]*")
                 for path in results.glob(pattern)]
    for path in paths:
        path.unlink()
    if what == "data":
        for path in list(results.glob(f".cache/{'?' * 32}")):
            shutil.rmtree(path)


@contextlib.contextmanager
def scene(folder):
    home, installed = folder / "home", folder / "installed"
    for each in (home, installed, folder / "commands"):
        each.mkdir()
    class_folders(home / "pictures" / "train", tuple(COLOURS), 12)
    class_folders(home / "pictures" / "test", tuple(COLOURS), 6, start=100)
    environment = environment_in(installed)
    environment["PYTHONPATH"] = os.pathsep.join([str(PAUSING), environment["PYTHONPATH"]])
    environment |= {"XDG_CACHE_HOME": str(home), "BENCH_DATA": str(home), "HF_HUB_OFFLINE": "1"}
    with launched(folder / "commands", environment) as launcher:
        unbroken = folder / "unbroken"
        finish(launcher.run(unbroken, text=SUITE))
        expected = numbers(unbroken)
        assert len(expected) == NUM_RECORDS, f"{len(expected)} records of a run without a break"
        yield Scene(folder, launcher, unbroken, expected)


def main(act):
    """Runs `act(folder)`, which returns what went wrong, line by line, and ends the process: 0 where that is nothing.
    The folder stays where something went wrong."""
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    wrong = act(folder)
    for line in wrong:
        say(f"WRONG: {line}")
    if wrong:
        say(f"kept in {folder}")
    else:
        shutil.rmtree(folder)
    sys.exit(1 if wrong else 0)


def say(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def table(head, rows):
    widths = [max(len(str(row[column])) for row in [head, *rows]) for column in range(len(head))]
    for row in [head, *rows]:
        say("  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def temporary_files(place):
    """What a write or the building of an entry leaves behind where nobody tidies up. Locks are no such thing."""
    hidden = [path for path in place.rglob(".*") if path.suffix != ".lock" and path.name != ".cache"]
    return sorted(hidden)


def torn(place):
    """Records, predictions, weights and data sets that are there and not whole."""
    found = []
    for root in (place / "results" / "small", place / "results" / "pretrained"):
        if not (root / "runs").is_dir():
            continue
        records, damaged = Store(root).scan()
        found += map(str, damaged)
        for key, record in records.items():
            with told_in(found):
                if record.kind == "final" and (final := record.final) is not None and final.predictions is not None:
                    predictions.get(Store(root), key, final.predictions)
    for path in place.glob("results/pretrained/weights/*/*.safetensors"):
        if hashlib.sha256(path.read_bytes()).hexdigest() != path.stem:
            found.append(str(path))
    for path in filter(Path.is_file, place.glob("reports/*.html")):
        text = path.read_text()
        if not (text.startswith(("<html", "<!doctype")) and text.rstrip().endswith("</html>")):
            found.append(str(path))
    return found


@contextlib.contextmanager
def told_in(found):
    try:
        yield
    except Exception as error:
        found.append(str(error))


def differences(place, the_scene):
    """Of a folder whose suite ended well, and one without a break: what is wrong with it, line by line."""
    found = []
    if (same := the_scene.same(place) + the_scene.rounded(place)) < NUM_RECORDS:
        found.append(f"{place.name}: {same} of {NUM_RECORDS} records are equal")
    if len(record_files(place)) != NUM_RECORDS:
        found.append(f"{place.name}: {len(record_files(place))} records, expected {NUM_RECORDS}")
    for name, lines in (("torn", torn(place)), ("temporary", temporary_files(place))):
        found += [f"{place.name}: {name}: {line}" for line in lines]
    for path in the_scene.unbroken.glob("results/.cache/*/*.npy"):
        twin = place / path.relative_to(the_scene.unbroken)
        if twin.exists() and twin.read_bytes() != path.read_bytes():
            found.append(f"{place.name}: {twin} holds other data")
    if not locks_are_free(place):
        found.append(f"{place.name}: a lock is held")
    return found
