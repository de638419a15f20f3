"""Everything that reads `SuiteResults` and gives numbers, under one name for the report, the terminal and the gate."""

from bench.analysis.cells import Counts, cell_summary, missing
from bench.analysis.costs import cost_summary, inflation
from bench.analysis.headline import headline
from bench.analysis.leaderboard import Leaderboard, fewest_tasks, leaderboard
from bench.analysis.standing import standings
from bench.analysis.terminal import terminal_rows, terminal_table
from bench.analysis.verdicts import verdicts

__all__ = [
    "Counts",
    "Leaderboard",
    "cell_summary",
    "cost_summary",
    "fewest_tasks",
    "headline",
    "inflation",
    "leaderboard",
    "missing",
    "standings",
    "terminal_rows",
    "terminal_table",
    "verdicts",
]
