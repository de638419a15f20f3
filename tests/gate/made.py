"""Gate results as tests need them: a plain one of every word, and one with hostile names everywhere."""

import dataclasses

from bench.gate.verdict import CellName, CostVerdict, GateResult, Verdict, Word

HOSTILE = [
    "<script>alert(1)</script>",
    "a::error title=x::y",
    "::set-output name=x::1",
    "##[add-mask]e",
    "line\r\nbreak\n::error::injected",
    "| a | `b` | **c** [d](e) <!--",
    "\x1b[31mred\x00\x07\ufffe",
    "\u202e\u05d0\u05d1 right to left",
    "n" * 300,
    "\ud800 lone",
    "日本語 🦊 & \"q\" 'p' $\\frac{1}$ 100%, a:b",
    "]]> &amp; ]]&gt;",
]


def cell(strategy: str = "linear_probe", dataset: str = "digits", budget: str = "5") -> CellName:
    return CellName(dataset, budget, "small", strategy)


def compared(word: Word, change: float, name: str | CellName = "linear_probe", **other: object) -> Verdict:
    found = Verdict(
        name if isinstance(name, CellName) else cell(name), word, n=5, before=0.9, after=0.9 + change / 100,
        change=change, low=change - 0.6, high=change + 0.6, p=0.003, smallest=1.3,
    )  # fmt: skip
    return dataclasses.replace(found, **other)  # type: ignore[arg-type]


REGRESSED = compared("regressed", -2.1, "linear_probe")
WORSE = compared("regressed", -4.0, "freeze(upto=1)", p=2e-7)
IMPROVED = compared("improved", 1.9, "full_finetune")
OPEN = compared("inconclusive", -0.7, "gradual_unfreeze", smallest=1.9)
STEADY = compared("equivalent", -0.04, "discriminative")
SAME = compared("identical", 0.0, "scratch", low=0.0, high=0.0, p=1.0)
ABSENT = Verdict(cell("bitfit"), "missing", "no record of tonight")
WRONG = Verdict(cell("lora"), "missing", "loss became NaN at step 14", went_wrong=True)
OTHER = Verdict(cell("linear_probe", "near"), "incomparable", "torch 2.15 before, 2.16 tonight")
NEW = Verdict(cell("wise_ft"), "new", n=5, after=0.8)
SLOWER = CostVerdict("digits @ 5 · small · lora", "seconds", "slower", "", 10.0, 14.2)
MEAN = compared("regressed", -0.5, CellName("all", "all", "all", "mean of all 24 cells"), smallest=0.4)
EVERY = (OPEN, REGRESSED, WORSE, IMPROVED, STEADY, SAME, NEW, OTHER, ABSENT, WRONG)


def gate(*verdicts: Verdict, **other: object) -> GateResult:
    found = GateResult(
        suite="quickstart", method="pairs", margin=0.5, must_see=2.0, baseline="baselines/quickstart.json",
        verdicts=verdicts, facts={"baseline commit": "ab12cd3", "tonight's commit": "ef45ab6"},
    )  # fmt: skip
    return dataclasses.replace(found, **other)  # type: ignore[arg-type]


def hostile() -> GateResult:
    """Every text that comes from outside, in every place."""
    verdicts = []
    for i, text in enumerate(HOSTILE):
        here = CellName(text, HOSTILE[i - 1], HOSTILE[i - 2], HOSTILE[i - 3])
        verdicts.append(dataclasses.replace(EVERY[i % len(EVERY)], cell=here, reason=text))
        verdicts.append(Verdict(here, "incomparable", text))
    costs = [CostVerdict(text, "memory", "slower", text, 1e6, 2e6) for text in HOSTILE]
    return GateResult(
        suite=" ".join(HOSTILE), method="history", margin=0.5, must_see=2.0, baseline=HOSTILE[5],
        verdicts=tuple(verdicts), costs=tuple(costs), notes=tuple(HOSTILE), facts={t: t for t in HOSTILE},
    )  # fmt: skip


def many(count: int, word: Word = "regressed", length: int = 10) -> GateResult:
    return gate(*(compared(word, -1.0 - i / count, cell(f"{i:05d}{'|' * length}")) for i in range(count)))
