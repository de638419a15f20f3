"""What a run says to programs holds no pictures of features."""

import json

from bench.commands.output import as_json
from bench.commands.run import _json_summary
from bench.execute.ledger import Summary
from tests.analysis.synthetic import make
from tests.analysis.test_mistakes import WORLD
from tests.report.test_distance_page import made as measured
from tests.report.test_samples_page import projected


def test_the_summary_can_be_printed_where_records_hold_projections(capsys):
    as_json(_json_summary(Summary(), None, projected(make(WORLD))))
    finals = json.loads(capsys.readouterr().out)["finals"]
    assert len(finals) == 9
    assert not {"projection", "predictions"} & finals[0].keys()
    assert finals[0]["similarity"] == [1.0, 0.7]


def test_it_can_be_printed_where_they_hold_distances(capsys):
    as_json(_json_summary(Summary(), None, measured()))
    assert "distance" not in json.loads(capsys.readouterr().out)["finals"][0]
