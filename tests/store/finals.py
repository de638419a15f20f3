"""Finals whose keys are known, in order: two in one folder, and one in another."""

import itertools

from tests import made_up


def _specs(*prefixes):
    """key -> spec"""
    found = {}
    numbers = itertools.count()
    for prefix in prefixes:
        specs = ({"name": number} for number in numbers)
        keys = ((made_up.record(spec=spec, result={}).key, spec) for spec in specs)
        found.update([next(pair for pair in keys if pair[0].startswith(prefix))])
    return found


SPECS = _specs("ab", "ab", "cd")
KEY, NEIGHBOUR, FAR = sorted(SPECS)


def final(key=KEY, status="ok", **fields):
    return made_up.record("final", status, SPECS[key], **fields)


def failed(key=KEY, **fields):
    return final(key, "failed", **fields)
