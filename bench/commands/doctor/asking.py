"""Run as a script by `imports.py`, with names of libraries: one JSON line as each one's answer is known.

It imports nothing of ours, so that it works where we do not.
"""

import importlib
import json
import sys
from typing import Any


def main() -> None:
    for name in sys.argv[1:]:
        answer: dict[str, Any] = {"name": name}
        try:
            module = importlib.import_module(name)
            if name == "torch":
                answer |= _gpus(module)
        except BaseException as error:  # SystemExit included: a library may do anything when imported
            answer["error"] = " ".join(f"{type(error).__name__}: {error}".split())[:500]
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _gpus(torch: Any) -> dict[str, Any]:
    """A sum on each device: a build without kernels for it shows only then."""
    import warnings

    names, trouble = [], ""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
                names.append(torch.cuda.get_device_name(index))
                (torch.ones(2, device=f"cuda:{index}") + 1).sum().item()
        except Exception as error:
            trouble = f"{type(error).__name__}: {error}"
    if not trouble and not names and torch.version.cuda and said:
        trouble = str(said[0].message)
    return {"cuda": torch.version.cuda, "gpus": names, "trouble": " ".join(trouble.split())[:500]}


if __name__ == "__main__":
    main()
