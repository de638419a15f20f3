"""A suite that names published values: its page, and the page of its run when their file is gone."""

import json
from pathlib import Path

from bench.commands.suites import RUN_FILE, plan_from_file, remember
from bench.store import sealed
from tests.commands.conftest import SMALL
from tests.commands.fabricate import PUBLISHED, fabricate


def ran_with_references(folders):
    """The suite has run here and all went well."""
    Path("suites/small.yaml").write_text(f"{SMALL}references: [refs.yaml]\n")
    Path("suites/refs.yaml").write_text(PUBLISHED)
    plan = plan_from_file(Path("suites/small.yaml"), (), folders)
    remember(plan, (), folders)
    fabricate(plan, folders.roots("small"))


def page(bench, suite):
    said = bench("report", suite)
    assert said.code == 0, said.err
    return Path("reports/small.html").read_text()


def test_the_page_lays_them_beside_and_outlives_their_file(place, bench, folders):
    ran_with_references(folders)
    first = page(bench, "suites/small.yaml")
    assert "Published numbers" in first
    assert "Somebody 2020; 3; read in the paper" in first
    Path("suites/refs.yaml").unlink()
    assert page(bench, "small") == first
    assert "suites/refs.yaml: no such file" in bench("report", "suites/small.yaml").error


def test_a_run_from_before_suites_named_any_is_read(bench, ran, folders):
    path = folders.roots("small").store.root / RUN_FILE
    kept = sealed.unseal(path.read_bytes())
    del kept["references"]
    path.write_bytes(sealed.seal((json.dumps(kept, indent=2) + "\n").encode()))
    assert 'id="published"' not in page(bench, "small")
