"""`bench init`: looks at somebody's data, says what it found, and writes a suite for them."""

from collections.abc import Iterator
from pathlib import Path

from bench.commands.drafting import Draft
from bench.commands.output import note, say
from bench.datasets.files import listed
from bench.datasets.look import Look, look_at
from bench.errors import BenchError
from bench.modalities import MODALITIES
from bench.store.atomic import write_bytes
from bench.suite.load import load_suite

CLASSES = 6  # that are shown with their sizes
COLUMNS = ("image", "text", "label", "split")  # options that name one


def write_suite(data: Path, output: Path, force: bool) -> int:
    if output.exists() and not force:
        raise BenchError(f"{output} is there already; --force replaces it, --output FILE writes another one")
    if not output.parent.is_dir():
        raise BenchError(f"{output}: no folder {output.parent}")
    look = look_at(data.expanduser())
    draft = Draft(look, output.parent)
    text = draft.text()
    load_suite(output, text=text)
    for line in _found(look):
        say(line)
    if draft.warning:
        note(f"note: {draft.warning}")
    write_bytes(output, text.encode())
    say(f"wrote {output}: `python -m bench plan {output}` shows what it would do, "
        f"`python -m bench run {output}` does it")
    return 0


def _found(look: Look) -> Iterator[str]:
    facts, word = look.facts, MODALITIES[look.modality].example
    size = {"image": f"{facts.image_size} px", "text": f"up to {facts.image_size:,} bytes",
            "sound": f"{facts.image_size / 1000:g} s"}[look.modality]
    total = facts.num_train + facts.num_test + facts.num_shift
    yield f"found {total:,} {word}s of {facts.num_classes} classes, {size}"
    sizes = (train + test for train, test in zip(facts.train_sizes, facts.test_sizes, strict=True))
    yield f"classes: {listed((f'{name} {size:,}' for name, size in zip(facts.classes, sizes, strict=False)), CLASSES)}"
    columns = [f"{name} {value}" for name, value in look.options.items() if name in COLUMNS]
    if columns:
        yield f"read with {', '.join(columns)}"
    anew = " anew in every repeat" if look.divides_anew else ""
    own = f"no test split of its own: divided{anew} into" if look.is_divided else "its own split:"
    shift = f", {facts.num_shift:,} of `shift`" if facts.num_shift else ""
    yield f"{own} {facts.num_train:,} to train and {facts.num_test:,} to test{shift}"
    doubles = [line for line in facts.division or () if "byte for byte" in line]
    yield from (f"note: {line}" for line in (*facts.notes, *doubles))
