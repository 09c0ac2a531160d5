"""The command line, called as a user types it."""

import pytest
from typer.testing import CliRunner

from discover.cli import app


@pytest.fixture
def calling(monkeypatch):
    """From a folder to what calls commands in it."""

    def at(folder):
        monkeypatch.chdir(folder)
        monkeypatch.delenv("DISCOVER_STORE", raising=False)
        return call

    def call(*arguments, code=0):
        done = CliRunner().invoke(app, list(arguments))
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == code, done.output
        return done

    return at


@pytest.fixture
def cli(folder, calling):
    return calling(folder)
