"""Everything the sections say, computed once: summaries, verdicts, ranking, and who looks how."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from bench.analysis.candidates import Place
from bench.analysis.cells import Row, Task, records, summary_of
from bench.analysis.claims import Judged
from bench.analysis.comparison import Scores
from bench.analysis.efficiency import Multiple, multiples
from bench.analysis.frame import SuiteResults
from bench.analysis.headline import Findings
from bench.analysis.pitfalls import Cost, pitfall_costs
from bench.analysis.tables import Counts, Leaderboard, missing
from bench.analysis.transferability import Study, studies
from bench.analysis.words import labels, shortened
from bench.modalities import MODALITIES, example_of
from bench.report.filters import Filters
from bench.report.palette import budget_series, strategy_series
from bench.report.view import LONG_NAME, Look, TableCell

METRICS = {"mean_per_class": "mean accuracy per class", "macro_f1": "macro-F1", "mcc": "Matthews correlation"}


@dataclass(frozen=True)
class Facts:
    results: SuiteResults
    scores: Scores
    summary: list[Row]  # one per cell
    findings: Findings
    counts: Counts
    strategies: dict[str, Look]
    budgets: dict[str, Look]
    studies: list[Study]
    pitfalls: list[Cost]
    filters: Filters

    @staticmethod
    def of(results: SuiteResults) -> "Facts":
        scores = Scores.of(results.finals)
        summary = records(summary_of(scores.cells))
        baselines = {row["strategy"] for row in summary if row["baseline"]}
        by_labels = sorted(summary, key=lambda row: float(row["labels_per_class"]))
        budgets = budget_series(unique(row["budget"] for row in by_labels))
        filters = Filters.of(summary, budgets)
        return Facts(
            results=results,
            scores=scores,
            summary=summary,
            findings=Findings.of(results, scores, summary),
            counts=missing(results),
            strategies={
                name: replace(look, about=filters.marks(strategy=name))
                for name, look in strategy_series(unique(row["strategy"] for row in summary), baselines).items()
            },
            budgets={name: replace(look, about=filters.marks(budget=name)) for name, look in budgets.items()},
            studies=studies(results),
            pitfalls=pitfall_costs(results),
            filters=filters,
        )

    @property
    def verdicts(self) -> list[Row]:
        return self.findings.verdicts

    @property
    def claims(self) -> list[Judged]:
        return self.findings.claims

    @property
    def board(self) -> Leaderboard:
        return self.findings.board

    @property
    def standings(self) -> dict[Task, dict[str, Place]]:
        return self.findings.standings

    @cached_property
    def many_backbones(self) -> bool:
        return len(unique(row["backbone"] for row in self.summary)) > 1

    @cached_property
    def modalities(self) -> list[str]:
        return unique(row["modality"] for row in self.summary)

    @property
    def is_mixed(self) -> bool:
        """Whether data sets of several modalities stand side by side."""
        return len(self.modalities) > 1

    @property
    def example(self) -> str:
        """What the page calls one example: `image`, `text`, or `example` where it has several modalities."""
        return example_of(self.modalities)

    @cached_property
    def kinds(self) -> dict[str, str]:
        """What each data set holds, in the plural."""
        return {row["dataset"]: f"{MODALITIES[row['modality']].example}s" for row in self.summary}

    @cached_property
    def worth(self) -> list[Multiple]:
        """What labels are worth, in scratch's labels."""
        return [one for rows in self.groups.values() for one in multiples(rows)]

    @cached_property
    def metric(self) -> str:
        metrics = unique(row["metric"] for row in self.summary)
        return METRICS.get(metrics[0], metrics[0]) if len(metrics) == 1 else "score"

    @property
    def knows_images(self) -> bool:
        """Whether intervals speak of other test examples too, everywhere on the page."""
        return all(row["num_images"] > 0 for row in self.summary if row["n"] > 0)

    @property
    def renews_pretraining(self) -> bool:
        """Whether each repeat has a pretraining of its own."""
        return any(", repeat " in name for name in self.results.pretrainings["dataset"])  # as `planning/` labels them

    @property
    def scope(self) -> str:
        """What an interval of a score or a difference averages over, in a sentence or two."""
        draws = "" if all(row["budget"] == "full" for row in self.summary) else "draws of labels, "
        weights = "pretrainings, " if self.renews_pretraining else ""
        over = f"new {weights}{draws}starts and orders"
        if self.knows_images:
            fixed = "Data set and recipe" if weights else "Data set, pretrained weights and recipe"
            return f"over {over} and new test {self.example}s. {fixed} are held fixed."
        if any(row["num_images"] > 0 for row in self.summary):
            return f"over {over}, and over new test {self.example}s where predictions of the cells compared were kept."
        return (
            f"over {over} on these very test {self.example}s. Too little of the predictions was kept to say anything "
            f"about other test {self.example}s."
        )

    @cached_property
    def groups(self) -> dict[tuple[str, str], list[Row]]:
        """Cells by dataset and backbone, in suite order."""
        found: dict[tuple[str, str], list[Row]] = {}
        for row in self.summary:
            found.setdefault((row["dataset"], row["backbone"]), []).append(row)
        return found

    def about(self, dataset: str = "", budget: str = "", backbone: str = "") -> str:
        """Of a table, a column or a drawing: the marks that a filter hides it by."""
        return self.filters.marks(dataset=dataset, budget=budget, backbone=backbone)

    def named(self, dataset: str) -> str:
        """A data set's name, and what it holds, where a page has several modalities."""
        short = shortened(dataset)
        return f"{short} ({self.kinds[dataset]})" if self.is_mixed else short

    def dataset_cell(self, dataset: str) -> TableCell:
        """The same in a table; a file made of the table has the name alone."""
        # What was pretrained on need not be a target.
        return replace(name_cell(dataset), sub=self.kinds.get(dataset, "") if self.is_mixed else "")

    def heading(self, dataset: str, backbone: str) -> str:
        return f"{self.named(dataset)} · {shortened(backbone)}" if self.many_backbones else self.named(dataset)

    def which(self, backbone: str) -> str:
        """A backbone's name, where there are several."""
        return shortened(backbone) if self.many_backbones else ""

    def where(self, task: Task) -> str:
        words = f"{self.named(task[0])}, {labels(task[1])}"
        return f"{words}, {shortened(task[2])}" if self.many_backbones else words


def unique(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def name_cell(name: str, series: Look | None = None) -> TableCell:
    short = shortened(name)
    css = "name long" if len(short) > LONG_NAME else "name"
    return TableCell(short, value=name, css=css, title=name if short != name else "", series=series)
