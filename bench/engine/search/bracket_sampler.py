"""The bracket as an Optuna sampler: what it answers depends on the study's trials and on nothing else."""

from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from bench.planning.bracket import TriedRate, next_points
from bench.spec.refs import Search


class BracketSampler(BaseSampler):
    """`cohort`: the numbers of the trials that are asked together with the next one. The study holds all earlier
    trials, and those of the cohort that are under way."""

    def __init__(self, search: Search, cohort: range, beside: dict[str, Any]) -> None:
        """`beside`: what the other parameters of that trial are; they follow its number alone."""
        self._search, self._cohort, self._beside = search, cohort, beside

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        if param_name != "lr":
            return self._beside[param_name]
        history = [_seen(one) for one in study.trials[: self._cohort.start]]
        points = next_points(self._search.centre, history, len(self._cohort), self._search.step)
        return points[trial.number - self._cohort.start]


def _seen(trial: FrozenTrial) -> TriedRate:
    lr = trial.params["lr"]
    is_broken = trial.state == TrialState.FAIL or trial.user_attrs["collapsed"]
    return TriedRate(lr, None) if is_broken else TriedRate(lr, trial.value, trial.user_attrs["loss"])
