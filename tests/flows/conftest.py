"""One real Prefect server for all tests of the flows."""

import logging
import os

import pytest

from flows import environment


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory):
    environment.prepare()
    from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
    from prefect.testing.utilities import prefect_test_harness

    with (
        prefect_test_harness(server_startup_timeout=120),
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
    ):
        yield PREFECT_API_URL.value()


@pytest.fixture
def user_environment(prefect_server):
    """The environment of a user who has a Prefect server."""
    return {**os.environ, "PREFECT_API_URL": prefect_server, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="package", autouse=True)
def logging_is_given_back():
    """Prefect's handlers write to streams that pytest has closed by the time that other tests log."""
    yield
    for logger in (logging.getLogger(), *map(logging.getLogger, list(logging.root.manager.loggerDict))):
        for handler in [h for h in logger.handlers if type(h).__module__.startswith("prefect")]:
            logger.removeHandler(handler)
    logging.getLogger().setLevel(logging.WARNING)
