"""What a wheel holds, and that it is enough: installed where nothing else is, it runs a suite by its name."""

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
SHORT = ["--set", "repeats=2", "--set", "search.trials=1", "--set", "training.steps=2", "--set",
         "datasets=[{name: digits, labels_per_class: [5]}]"]  # fmt: skip


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Of the files that git knows, so that nothing is left in the checkout and no old build is in it."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0"):
        if name and (ROOT / name).is_symlink():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).symlink_to((ROOT / name).readlink())
        elif name and (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    build = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", build, str(out)], cwd=source, capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    (path,) = out.glob("*.whl")
    return path


def test_it_holds_the_code_the_page_and_the_suites(wheel):
    held = set(zipfile.ZipFile(wheel).namelist())
    wanted = {path.relative_to(ROOT).as_posix() for path in (ROOT / "bench").rglob("*")
              if path.suffix in (".py", ".md", ".html", ".css", ".js", ".typed")}  # fmt: skip
    suites = {path.relative_to(ROOT / "suites").as_posix() for path in (ROOT / "suites").rglob("*.yaml")}
    assert wanted - held == set()
    assert {f"bench/shipped/{name}" for name in suites} - held == set()
    assert {name.partition("/")[0].partition("-")[0] for name in held} == {"bench", "transfer_bench"}
    assert any(name.endswith("licenses/LICENSE") for name in held)


def test_a_copy_finds_its_own_suites_and_says_what_was_typed(wheel, tmp_path):
    """Nothing but the wheel is on the path before the libraries."""
    zipfile.ZipFile(wheel).extractall(tmp_path / "held")
    (tmp_path / "empty").mkdir()

    def typed(*words):
        start = (f"import sys; sys.path.insert(0, {str(tmp_path / 'held')!r}); sys.argv[0] = 'transfer-bench'; "
                 "from bench.__main__ import start; start()")  # fmt: skip
        return subprocess.run([sys.executable, "-P", "-c", start, *words], cwd=tmp_path / "empty", capture_output=True,
                              text=True, check=False)  # fmt: skip

    assert "Usage: transfer-bench plan" in typed("plan", "--help").stdout
    listed = typed("list", "suites").stdout
    assert all(path.stem in listed for path in (ROOT / "suites").glob("*.yaml"))
    planned = typed("plan", "quickstart", "--json")
    assert planned.returncode == 0, planned.stderr
    wrong = typed("plan", "quickstart", "--set", "repeats=0")
    assert wrong.returncode == 2
    assert list((tmp_path / "held").rglob("shipped/quickstart.yaml"))


@pytest.mark.slow
def test_it_is_enough(wheel, tmp_path):
    """In an environment of its own, in an empty folder."""
    venv.create(tmp_path / "venv", with_pip=True)
    (tmp_path / "empty").mkdir()

    def typed(*words):
        done = subprocess.run([str(tmp_path / "venv" / "bin" / words[0]), *words[1:]], cwd=tmp_path / "empty",
                              capture_output=True, text=True, check=False)  # fmt: skip
        assert done.returncode == 0, (words, done.stdout[-2000:], done.stderr[-3000:])

    typed("pip", "install", "-q", str(wheel))
    typed("transfer-bench", "run", "quickstart", *SHORT)
    assert (tmp_path / "empty" / "reports" / "quickstart.html").is_file()
    typed("transfer-bench", "status", "quickstart")


def test_the_citation_says_what_the_package_says():
    import tomllib

    told = YAML(typ="safe").load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert told["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= told.keys()
    assert told["title"].startswith(project["name"])
    assert (told["version"], told["license"]) == (project["version"], project["license"])
    assert told["authors"] == project["authors"]
