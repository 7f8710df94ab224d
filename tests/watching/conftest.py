"""One cluster for each file, within this process, with a dashboard on loopback."""

import distributed
import pytest
from clusters import local_cluster


@pytest.fixture(scope="module")
def cluster():
    with local_cluster(processes=False) as running:
        yield running


@pytest.fixture
def client(cluster):
    with distributed.Client(cluster) as client:
        yield client
