"""Facts about a person's data, found out once and kept on this machine under the digest of all they follow from."""

import dataclasses
from collections.abc import Callable

from bench.datasets.base import DatasetFacts
from bench.keys import digest
from bench.places import machine_cache
from bench.store.remembered import recall, remember

FORMAT = 2  # of the files
FIELDS = [field.name for field in dataclasses.fields(DatasetFacts)]


def cached_facts(identity: str, find_out: Callable[[], DatasetFacts]) -> DatasetFacts:
    cache = machine_cache()
    if cache is None:
        return find_out()
    path = cache / "facts" / f"{digest([FORMAT, FIELDS, identity])}.json"
    kept = recall(path)
    if kept is not None:
        return DatasetFacts(**kept)
    facts = find_out()
    remember(path, dataclasses.asdict(facts))
    return facts
