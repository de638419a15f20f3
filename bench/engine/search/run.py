"""A search, or those of several repeats of a cell: cohort after cohort of trials, until every one has its record."""

from collections.abc import Sequence

from bench.engine.common.context import Context
from bench.engine.fleet.calibrate import FleetChoice, choose_form, without_fault
from bench.engine.fleet.together import have_equal_batches, narrower, why_narrower
from bench.engine.reuse.stages import stages_for
from bench.engine.search.groups import Group, groups_of
from bench.engine.search.outcome import moments_of
from bench.engine.search.race import Race
from bench.engine.train.faults import pass_on
from bench.planning.halving import cohorts, rungs
from bench.spec.job import Job
from bench.store.results import Measured


def make_searches(jobs: Sequence[Job], context: Context) -> bool:
    """False: asked to stop before the last trial."""
    races = [Race(job, context) for job in jobs]
    for cohort in cohorts(races[0].spec.search):
        if not _run_cohort(races, cohort, context):
            return False
        for race in races:
            race.remember(cohort)
    return True


def _run_cohort(races: Sequence[Race], cohort: range, context: Context) -> bool:
    """False: asked to stop before the end."""
    racing = [race for race in races if race.lacks(cohort)]
    for race in racing:
        if context.stopping():
            return False
        race.prepare(cohort)
        race.line_up(with_recorded=False)
    racing = [race for race in racing if race.trials]
    if not racing:
        return True
    meter = context.meter()
    # All that line up, so that a death while forms are tried out is no single trial's.
    context.begins([record for race in racing for trial in race.trials for record in race.crashed(trial)], 0)
    choice = without_fault(lambda: _choose(racing, context), context)
    # The first trial pays for features that were computed on the way. Trying out forms is no part of a training.
    racing[0].spend(racing[0].trials[0].number, Measured(feature_seconds=meter.read().feature_seconds))
    while racing:
        for race in racing:
            race.line_up(with_recorded=choice.width > 1)
        num_replicas = sum(len(race.trials) * len(race.streams) for race in racing)
        try:
            return all(_run(together, groups, context) for together, groups in groups_of(racing, choice, context))
        except Exception as error:
            pass_on(error)
            # One of many is to blame, or their number: those without a record try again, fewer at a time.
            if choice.width < 2:
                raise
            choice = narrower(choice, error, num_replicas)
            context.notice(why_narrower(racing[0].spec, choice, error))
            racing = [race for race in racing if race.lacks(cohort)]
    return True


def _choose(races: Sequence[Race], context: Context) -> FleetChoice:
    """How many trials train at once, and in which form."""
    spec, begin = races[0].spec, races[0].trials[0].begin
    streams = [stream for race in races for stream in race.streams]
    # Where options are searched, no two trials train the same thing.
    if spec.varied is not None or not have_equal_batches(streams, spec.training.batch_size):
        return FleetChoice()
    scored = [one for race in races for one in race.scored]
    stages = stages_for(spec, begin, [race.images for race in races], context, scored)
    return choose_form(spec, begin, stages, races[0].images, context)


def _run(races: Sequence[Race], groups: Sequence[Group], context: Context) -> bool:
    """Each rung trains the trials that are still in the race, then the better ones go on. False: asked to stop."""
    spec = races[0].spec
    moments = moments_of(spec)
    has_begun = False
    for rung, end in enumerate(rungs(spec.search, spec.training.steps)):
        for group in groups:
            racing = group.racing
            if not racing:
                continue
            if has_begun and context.stopping():
                return False
            has_begun = True
            context.begins([record for trial in racing for record in trial.race.crashed(trial)], len(racing))
            meter = context.meter()
            group.advance(end, {end} | moments)
            spent = meter.read()
            for trial in racing:
                trial.race.spend(trial.number, spent, len(racing))
                trial.race.note(trial, end)
            if not group.racing:
                group.shrink()
        for race in races:
            race.judge(rung, end)
        for group in groups:
            group.shrink()
    return True
