"""The benchmarks run on the server of the tests."""

from collections.abc import Iterator

import pytest

from benchmarks.peers.server import Server
from tests.postgres.databases import Database


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The server that the benchmarks find, here that of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", Database("postgres").url)
        yield Server.find()
