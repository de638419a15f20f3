"""What the data look like: the classes of each data set, how many examples they have, and a few of these."""

from bench.analysis.words import plural
from bench.modalities import MODALITIES
from bench.report.facts import Facts, unique
from bench.report.glimpse import glimpse
from bench.report.view import Block, Column, Section, Table, TableCell, Words
from bench.store.samples import OfClass, Samples

SETS = 6  # on a page, which is to stay small
OPEN = 3  # tables of so many data sets are open; of more, all are folded
CLASSES = 12  # rows of each
TEXTS = 2  # of a class: each takes a line or two
SHOWN_AS = {
    "image": "pictures are made small",
    "text": "texts are cut off after 120 characters",
    "sound": "pictures show time from left to right and pitch from low to high, the louder the brighter",
}


def samples_section(facts: Facts) -> Section | None:
    """None where records are from before examples were kept: there is nothing to say."""
    how = "A few examples of each class, so that a score can be read as the difficulty of something that was seen."
    if not facts.results.suite.get("records", {}).get("samples", True):
        return Section("samples", "What the data look like", how, [Words([
            "No examples are shown: the suite keeps them out of the page (records: {samples: false})."])])  # fmt: skip
    names = unique(facts.results.finals["dataset"])
    kept = {name: facts.results.samples[name] for name in names if name in facts.results.samples}
    found = {name: one.found for name, one in kept.items() if one.found is not None}
    blocks: list[Block] = [
        _sheet(facts, name, one, number) for number, (name, one) in enumerate(list(found.items())[:SETS])
    ]
    if len(found) > SETS:
        blocks.append(Words([f"Left out to keep the page small: examples of {plural(len(found) - SETS, 'data set')}."]))
    if problems := unique(one.problem for one in kept.values() if one.problem):
        blocks.append(Words(["Examples that could not be read and are left out (no score depends on them):"]))
        blocks.append(Words(problems, listed=True, tone="code"))
    return Section("samples", "What the data look like", how, blocks) if blocks else None


def _sheet(facts: Facts, name: str, kept: Samples, number: int) -> Table:
    example = MODALITIES[_modality(facts, name)].example
    columns = [Column("Class", numeric=False), Column("Training", f"labelled {example}s"),
               Column("Test", f"{example}s"), Column("Examples", numeric=False)]  # fmt: skip
    rows = [_row(one, example) for one in kept.classes[:CLASSES]]
    shown = f"Each row is a class; its {example}s are chosen at random"
    how = SHOWN_AS.get(_modality(facts, name), "")
    caption = f"{shown}{'; ' if how else ''}{how}. A label budget takes a part of the training {example}s."
    if others := kept.classes[CLASSES:]:
        sizes = [one.num_train for one in others]
        more = plural(len(others), "more class", "more classes")
        span = f"{min(sizes):,} to {max(sizes):,}" if min(sizes) < max(sizes) else f"{min(sizes):,}"
        caption += f" Not shown: {more} of {span} training {example}s."
    return Table(f"samples-{number}", columns, rows, caption, title=f"{facts.named(name)}: classes and examples",
                 folded=len(facts.results.samples) > OPEN)  # fmt: skip


def _row(one: OfClass, example: str) -> list[TableCell]:
    drawn = TableCell("", value="")
    if one.examples is not None:
        said = f"{plural(one.num, example)} of class {one.name}"
        shown = one.examples.model_copy(update={"texts": one.examples.texts[:TEXTS]})
        drawn = TableCell("", value="", css="glimpses", picture=glimpse(shown, said))
    return [TableCell(one.name, css="name"), TableCell(f"{one.num_train:,}", value=one.num_train),
            TableCell(f"{one.num_test:,}", value=one.num_test), drawn]  # fmt: skip


def _modality(facts: Facts, name: str) -> str:
    finals = facts.results.finals
    return str(finals.loc[finals["dataset"] == name, "modality"].iloc[0])
