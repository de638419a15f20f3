"""What the fork server imports for its forks (`fork_server.py`): all that a worker needs, whatever work it gets.

Nothing else may import this file: a process that did would end without tidying up.
"""

import atexit
import gc
import os


def _import_all() -> None:
    gc.disable()  # each collection would walk through all that is imported so far: a sixth of the time
    atexit.register(os._exit, 0)  # run last; taking all this apart at the end would take a second and helps nobody
    import bench.execute.worker  # noqa: F401


_import_all()
