import re
import shutil
from pathlib import Path

from bench import provenance


def test_code_digest_reads_what_runs_and_nothing_else(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\n")
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "p.py").write_text("")
    (tmp_path / "report").mkdir()
    first = provenance.code_digest(tmp_path)
    assert re.fullmatch(r"[0-9a-f]{16}", first)

    (tmp_path / "README.md").write_text("words")
    (tmp_path / "a.pyc").write_bytes(b"compiled")
    (tmp_path / "report" / "page.py").write_text("pages move no number")
    assert provenance.code_digest(tmp_path) == first

    for name, text in (("a.py", "x = 2\n"), ("pages/p.py", "y"), ("b.py", "")):
        before = provenance.code_digest(tmp_path)
        (tmp_path / name).write_text(text)
        assert provenance.code_digest(tmp_path) != before


def test_text_that_moves_to_another_file_counts(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    for folder, texts in ((one, ("ab", "c")), (other, ("a", "bc"))):
        folder.mkdir()
        (folder / "x.py").write_text(texts[0])
        (folder / "y.py").write_text(texts[1])
    assert provenance.code_digest(one) != provenance.code_digest(other)


def test_a_copy_has_the_same_digest_and_records_carry_it(tmp_path):
    here = Path(provenance.__file__).parent
    shutil.copytree(here, tmp_path / "bench", ignore=shutil.ignore_patterns("__pycache__"))
    assert provenance.describe()["code"] == provenance.code_digest() == provenance.code_digest(tmp_path / "bench")
