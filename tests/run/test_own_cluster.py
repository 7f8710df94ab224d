"""The cluster that a run starts for itself: there at once, and its dashboard when looked at."""

import logging
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from eedask.run.own_cluster import own_cluster


@pytest.mark.slow
def test_the_dashboard_is_there_when_somebody_looks():
    told = []
    with own_cluster(2, told.append) as client:
        address = re.search(r"http://127\.0\.0\.1:\d+/status", told[0]).group()
        # Several tabs that open together wait for the same pages.
        with ThreadPoolExecutor(3) as threads:
            pages = list(threads.map(lambda _: requests.get(address, timeout=60), range(3)))
        assert [page.status_code for page in pages] == [200] * 3
        assert all("Dask" in page.text and "bokeh" in page.text for page in pages)
        root = requests.get(address.removesuffix("status"), timeout=60)
        assert root.url == address
        missing = requests.get(address.replace("status", "no-such-page"), timeout=60)
        assert missing.status_code == 404
        assert client.submit(sum, [1, 2]).result() == 3


def test_dask_is_quiet_about_a_cluster_that_nobody_asked_for(caplog, monkeypatch):
    dask = logging.getLogger("distributed")
    # Dask turns this off where it is imported before pytest has its handlers.
    monkeypatch.setattr(dask, "propagate", True)
    with caplog.at_level(logging.INFO, "distributed"):
        with own_cluster(1, lambda _: None):
            dask.getChild("scheduler").warning("a warning is heard")
        # Newer releases of pytest hear it twice then.
        assert {record.getMessage() for record in caplog.records} == {"a warning is heard"}
        assert dask.level == logging.INFO
    with caplog.at_level(logging.DEBUG, "distributed"), own_cluster(1, lambda _: None):
        assert dask.level == logging.DEBUG


@pytest.mark.slow
def test_a_cluster_is_there_without_bokeh():
    code = (
        "import sys; from eedask.run.own_cluster import own_cluster\n"
        "with own_cluster(1, print) as client:\n"
        "    assert client.submit(sum, [1, 2]).result() == 3\n"
        "assert 'bokeh' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
