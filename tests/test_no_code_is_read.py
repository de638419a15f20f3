"""What lies in a results folder, a cache or a download is data: nothing of it is unpickled, so none of it can run."""

import ast
from pathlib import Path

BENCH = Path(__file__).parent.parent / "bench"
READERS = {("np", "load"): ("allow_pickle", False), ("torch", "load"): ("weights_only", True)}
PICKLERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


def test_no_file_imports_a_pickler_and_no_reader_may_use_one():
    readers = 0
    for path in BENCH.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
                assert not {name.split(".")[0] for name in names} & PICKLERS, path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                place = (getattr(node.func.value, "id", ""), node.func.attr)
                if place in READERS:
                    option, value = READERS[place]
                    given = {one.arg: getattr(one.value, "value", None) for one in node.keywords}
                    assert given.get(option) is value, f"{path}:{node.lineno}"
                    readers += 1
    assert readers >= 2, "nothing was looked at: the readers go by other names now"
