"""Questions about data to a process of their own, for the libraries that know the answer take seconds to import.

`python -m MODULE`: JSON in on standard input, JSON out on standard output; MODULE ends with `reply(answer)`.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from bench.datasets.base import DatasetFacts
from bench.datasets.files import DataError
from bench.errors import BenchError

TOLD = 2  # exit code of an error in a person's words


def ask(module: str, question: dict[str, Any], what: str) -> DatasetFacts:
    """Facts as `module` answers them. `what`: for the message, where it cannot."""
    done = subprocess.run([sys.executable, "-m", module], input=json.dumps(question), capture_output=True, text=True,
                          check=False)
    if done.returncode == 0:
        found = json.loads(done.stdout)
        return DatasetFacts(**{**found, "notes": tuple(found["notes"])})
    said = done.stderr.strip().splitlines() or ["no word why"]
    raise DataError(done.stdout.strip() if done.returncode == TOLD else f"{what} cannot be read: {said[-1]}")


def reply(answer: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    question = json.load(sys.stdin)
    try:
        text, code = json.dumps(answer(question)), 0
    except BenchError as error:
        text, code = str(error), TOLD
    sys.stdout.write(text)
    sys.exit(code)
