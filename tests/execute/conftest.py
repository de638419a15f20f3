import shutil
from pathlib import Path

import pytest

from tests.execute.running import environment_in, finish, launched


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    return environment_in(tmp_path_factory.mktemp("installed"))


@pytest.fixture(scope="session")
def launcher(environment, tmp_path_factory):
    with launched(tmp_path_factory.mktemp("commands"), environment) as found:
        yield found


@pytest.fixture(scope="session")
def unbroken(launcher, tmp_path_factory):
    """A folder where the tiny suite ran without a break, and that command. Copy it before changing it."""
    place = tmp_path_factory.mktemp("unbroken")
    command = launcher.run(place)
    finish(command)
    return place, command


@pytest.fixture
def copied(unbroken, tmp_path):
    return Path(shutil.copytree(unbroken[0], tmp_path / "copy"))


@pytest.fixture
def stage(tmp_path, monkeypatch):
    from tests.execute.played import Stage

    return Stage(tmp_path, monkeypatch)
