"""`python -m bench`: follow `cli.py`, then `commands/run.py`."""

from bench.cli import main

if __name__ == "__main__":
    main()
