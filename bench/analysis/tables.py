"""Everything that reads `SuiteResults` and gives numbers, under one name for the report, the terminal and the gate."""

from bench.analysis.candidates import standings
from bench.analysis.cells import Counts, cell_summary, missing
from bench.analysis.costs import cost_summary, inflation
from bench.analysis.headline import headline
from bench.analysis.leaderboard import Leaderboard, fewest_tasks, leaderboard
from bench.analysis.savings import Savings, feature_seconds, precisions, savings
from bench.analysis.terminal import terminal_rows, terminal_table
from bench.analysis.verdicts import verdicts

__all__ = [
    "Counts",
    "Leaderboard",
    "Savings",
    "cell_summary",
    "cost_summary",
    "feature_seconds",
    "fewest_tasks",
    "headline",
    "inflation",
    "leaderboard",
    "missing",
    "precisions",
    "savings",
    "standings",
    "terminal_rows",
    "terminal_table",
    "verdicts",
]
