"""`python -m bench`, or `transfer-bench`: follow `cli.py`, then `commands/run.py`."""

import gc
import os
import sys
from contextlib import suppress

from bench.errors import FAULT, fault


def start() -> None:
    try:
        from bench.cli import main
    except Exception as error:  # a library is missing or broken
        remedy = "`pip install -e .` in a checkout, or the wheel installed anew, brings what it needs"
        said = f"cannot start: {fault(error)}\n{remedy}\n"
        with suppress(OSError):  # full: the exit code says it too
            if sys.stderr is not None:  # closed
                os.write(2, said.encode(errors="backslashreplace"))  # what a buffer keeps of a full disk ends in 120
        sys.exit(FAULT)
    gc.disable()  # until something trains (`memory.py`)
    main()


if __name__ == "__main__":
    start()
