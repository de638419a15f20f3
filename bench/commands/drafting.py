"""What was found of somebody's data -> a suite for it, as text with comments: sizes, budgets and repeats that fit.
Rates and search stay at their defaults."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from bench.backbones import encoders, hub
from bench.datasets.files import shown
from bench.datasets.look import Look
from bench.errors import BenchError
from bench.modalities import MODALITIES

BUDGETS = ((100, (10, 50)), (25, (5, 25)), (10, (5, 10)), (4, (4,)))  # from so many of the poorest class on
FEW_TESTS = 100  # test examples; of fewer, more divisions of the set are taken
DECIDES_NOTHING = 50  # test examples; of as few, one is two points or more
REPEATS, MORE_REPEATS = 5, 10
SMALL_SIDE, SIDE, HUB_SIDE = 32, 64, 128  # pixels: two cores train these in minutes
HUB = {"image": "resnet18.a1_in1k", "text": "hf:sentence-transformers/all-MiniLM-L6-v2"}


@dataclass(frozen=True)
class Draft:
    """`look`: what it is about. `folder`: that of the suite's file, beside which data are looked for."""

    look: Look
    folder: Path

    @property
    def name(self) -> str:
        stem = re.sub(r"[^A-Za-z0-9_-]+", "_", self.look.path.absolute().stem).strip("_-")
        return f"my_{stem}"[:60] if stem else "my_data"

    @property
    def repeats(self) -> int:
        return MORE_REPEATS if self.look.divides_anew and self.look.facts.num_test < FEW_TESTS else REPEATS

    @property
    def budgets(self) -> str:
        poorest = self.look.facts.smallest_class
        return json.dumps(next((list(found) for least, found in BUDGETS if poorest >= least), ["full"]))

    @property
    def place(self) -> str:
        """Relative where the data lie beside the suite, so that both may be moved."""
        path, folder = self.look.path.absolute(), self.folder.absolute()
        text = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)
        if shown(text) != text:
            raise BenchError(f"{shown(text)}: its name is not UTF-8, and a suite is; rename it first")
        return text

    @property
    def warning(self) -> str | None:
        """What these test examples cannot tell."""
        num, word = self.look.facts.num_test, MODALITIES[self.look.modality].example
        if num >= DECIDES_NOTHING:
            return None
        one = f"{num} test {word}s decide little: one of them is {100 / num:.1f} points"
        if self.look.divides_anew:
            return f"{one}. Others are set aside in each of {self.repeats} repeats; label more for a verdict"
        return f"{one}. Put train and test together, and the suite will test on others in every repeat"

    def text(self) -> str:
        return "\n".join([*self._head(), "", *self._data(), "", *self._backbones(), "", *self._rest()]) + "\n"

    def _head(self) -> list[str]:
        path = shown(self.look.path.name or self.look.path)
        return [f"# Written by `python -m bench init` for {json.dumps(path, ensure_ascii=False)}: change it freely.",
                f"name: {self.name}  # names the folder of results and the report"]

    def _data(self) -> list[str]:
        facts, word = self.look.facts, MODALITIES[self.look.modality].example
        lines = ["datasets:", f"  - name: {json.dumps(f'{self.look.entry.name}:{self.place}', ensure_ascii=False)}"]
        if self.look.options:
            lines.append(f"    options: {json.dumps(self.look.options, ensure_ascii=False)}")
        lines.append(f"    labels_per_class: {self.budgets}  # labelled {word}s of each class to learn from; the "
                     f"poorest class has {facts.smallest_class}")
        if self.look.divides_anew:
            lines.append(f"    test: {{resplit: true}}  # it has no test split: {facts.num_test} of "
                         f"{facts.num_train + facts.num_test} {word}s are set aside, others in every repeat")
        if max(facts.train_sizes, default=0) >= 2 * facts.smallest_class:
            lines.append("    metric: mean_per_class  # classes differ in size: each counts the same")
        return lines + ([f"    # {self.warning}."] if self.warning else [])

    def _backbones(self) -> list[str]:
        built_in, published = _BUILT_IN[self.look.modality](self.look), HUB.get(self.look.modality)
        if published is None:
            return ["backbones:", *built_in]
        size = f", image_size: {HUB_SIDE}" if self.look.modality == "image" else ""
        entry = f'- {{name: "{published}"{size}}}'
        if _is_here(published):
            return ["backbones:", f"  {entry}"]
        more = "  # With a network, weights that know more (`python -m bench fetch` gets them):"
        return ["backbones:", *built_in, more, f"  # {entry}"]

    def _rest(self) -> list[str]:
        strategies = ["scratch                # the baseline: the same network, nothing pretrained",
                      "logistic_probe         # a classifier on frozen features: computed, no rate is searched",
                      "full_finetune          # everything trains"]
        is_text = self.look.modality == "text"
        strategies.append("lora                   # small additions train, the rest stays frozen" if is_text
                          else "{freeze: {upto: 2}}    # the first units stay frozen")
        flip = ", augment: {flip: true}" if self.look.modality == "image" else ""
        why = "  # flip: false where left and right differ, as in writing" if flip else ""
        return ["strategies:", *(f"  - {line}" for line in strategies), "",
                f"training: {{steps: 100, batch_size: 16{flip}}}{why}",
                f"repeats: {self.repeats}  # other labels, another start each time: intervals need several"]


def _pictures(look: Look) -> list[str]:
    side = SMALL_SIDE if look.facts.image_size <= 3 * SMALL_SIDE // 2 else SIDE
    return ["  - name: small_resnet      # pretrained here, on rendered shapes and textures: needs no download",
            "    pretrain: {dataset: source, epochs: 10}",
            f"    image_size: {side}  # pixels; more see more and take longer"]


def _texts(look: Look) -> list[str]:
    return ["  - name: small_transformer  # pretrained here, on written sentences: needs no download",
            "    options: {width: 48, layers: 3}",
            "    pretrain: {dataset: sentences, epochs: 6, batch_size: 32, optimizer: adamw, lr: 0.003}"]


def _clips(look: Look) -> list[str]:
    return ["  - name: small_resnet      # pretrained here, on tones: needs no download",
            "    takes: log_mel",
            "    pretrain: {dataset: tones, epochs: 10}"]


_BUILT_IN = {"image": _pictures, "text": _texts, "sound": _clips}


def _is_here(name: str) -> bool:
    if name.startswith(encoders.PREFIX):
        return hub.snapshot_of(name.removeprefix(encoders.PREFIX)) is not None
    return hub.find(name) is not None
