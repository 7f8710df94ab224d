"""The article's way, timed: ``multiprocessing.Pool``, a URL a chip, then the download.

    python tests/benchmarks/article_pool.py URL PROJECT COUNT PROCESSES

Fetches COUNT small constant thumbnails with ``getThumbURL`` and ``requests.get``, each process
with a session of its own, and prints the seconds from the first item to the last as JSON. Nothing
of eedask is used. ``throughput.py`` runs it.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import time

import ee
import requests
from google.auth.credentials import AnonymousCredentials
from retry import retry


def initialize(url: str, project: str) -> None:
    """Give this process a session of its own."""
    ee.Reset()
    ee.Initialize(AnonymousCredentials(), url=url, project=project)


@retry(tries=10, delay=1, backoff=2)
def fetch(index: int) -> int:
    """Make a URL for a chip and download it."""
    image = ee.Image.constant([index % 251, 2, 3]).toByte()
    region = ee.Geometry.Rectangle([0, 0, 0.001, 0.001])
    url = image.getThumbURL({"region": region, "dimensions": "8x8", "format": "png"})
    answer = requests.get(url, timeout=60)
    answer.raise_for_status()
    return len(answer.content)


def main() -> None:
    url, project, count, processes = *sys.argv[1:3], *map(int, sys.argv[3:5])
    with multiprocessing.Pool(processes, initialize, (url, project)) as pool:
        # All processes are up before the clock starts; the article does not count that either.
        pool.map(time.sleep, [0.5] * processes, chunksize=1)
        started = time.monotonic()
        sizes = pool.map(fetch, range(count), chunksize=1)
        seconds = time.monotonic() - started
    assert len(sizes) == count
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
