"""`python -m bench`: follow `cli.py`, then `commands/run.py`."""

import sys
from contextlib import suppress

from bench.errors import FAULT, fault

if __name__ == "__main__":
    try:
        from bench.cli import main
    except Exception as error:  # a library is missing or broken
        with suppress(AttributeError, OSError):  # closed (None then) or full: the exit code says it too
            sys.stderr.write(f"cannot start: {fault(error)}\n`pip install -e .` installs what it needs\n")
        sys.exit(FAULT)
    main()
