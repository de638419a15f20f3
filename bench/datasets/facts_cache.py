"""Facts about a person's data, found out once and kept on this machine under the digest of all they follow from."""

import dataclasses
import json
from collections.abc import Callable

from bench.datasets.base import DatasetFacts
from bench.errors import BenchError
from bench.places import machine_cache
from bench.store.atomic import write_bytes

FIELDS = {field.name for field in dataclasses.fields(DatasetFacts)}


def cached_facts(identity: str, find_out: Callable[[], DatasetFacts]) -> DatasetFacts:
    cache = machine_cache()
    path = cache / "facts" / f"{identity}.json" if cache is not None else None
    try:
        kept = json.loads(path.read_text()) if path is not None else {}
        if kept.keys() == FIELDS:
            return DatasetFacts(**kept)
    except (OSError, ValueError, TypeError, AttributeError):
        pass  # nothing was kept, or something damaged, or by another version
    facts = find_out()
    if path is not None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, json.dumps(dataclasses.asdict(facts)).encode())
        except (OSError, BenchError):
            pass
    return facts
