"""One real Prefect server for all tests of the flows."""

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
