"""Sentences in which somebody does something to somebody. Who does it to whom is told by order and form alone: the same
nouns stand in a class and in the one where they have changed places."""

from collections.abc import Sequence

from bench.datasets.worlds import words

Draws = Sequence[float]  # uniform numbers in 0 .. 1, of one sentence
NUM_DRAWS = 12  # numbers of each text, whatever it needs


def pick(options: Sequence[str], draw: float) -> str:
    return options[int(draw * len(options))]


def clause(agent: str, patient: str, verb: str, is_negated: bool, draws: Draws) -> str:
    """`draws`: three numbers. In the active voice, in the passive, or with one of the two in front."""
    form = int(draws[0] * 4)
    done = words.past(verb)
    agent, patient = f"the {agent}", f"the {patient}"
    never = draws[1] < 0.5
    if form == 0:
        act = (f"never {done}" if never else f"did not {verb}") if is_negated else done
        return f"{agent} {act} {patient}"
    if form == 1:
        act = (f"was never {done}" if never else f"was not {done}") if is_negated else f"was {done}"
        return f"{patient} {act} by {agent}"
    act = (f"never {done}" if never else f"did not {verb}") if is_negated else done
    return f"it was {agent} who {act} {patient}" if form == 2 else f"it was {patient} that {agent} {act}"


def sentence(agent: str, patient: str, verb: str, is_negated: bool, draws: Draws) -> str:
    """A clause with time, place and looks around it. `draws`: seven numbers."""
    look = pick(words.LOOKS, draws[3])
    named = (f"{look} {agent}", patient) if draws[4] < 0.5 else (agent, f"{look} {patient}")
    said = clause(*named, verb, is_negated, draws)
    if draws[5] < 0.5:
        return f"{pick(words.TIMES, draws[6])} {said}"
    return f"{said} in the {pick(words.PLACES, draws[6])}"
