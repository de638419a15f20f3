from tests.faults.pages import LETTERS, run

WRITES = 30  # of each writer; `python -m tests.faults.pages` has 500


def test_two_processes_write_one_page(tmp_path):
    found = run(tmp_path / "page.html", WRITES)
    assert found == {"writes": WRITES * len(LETTERS), "errors": 0, "torn": 0}
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
