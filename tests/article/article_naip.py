"""The article's own way, written anew: a pool of processes, a URL an image, a retry decorator.

Run as a script with the emulator's URL and project, how many points, and a folder. Nothing of
eedask is used but the emulator that answers. On Earth Engine, only ``ee.Initialize`` differs.
"""

import json
import multiprocessing
import pathlib
import shutil
import sys

import ee
import requests
from google.auth.credentials import AnonymousCredentials
from retry import retry

URL, PROJECT, COUNT, FOLDER = *sys.argv[1:3], int(sys.argv[3]), pathlib.Path(sys.argv[4])
BUFFER, DIMENSIONS = 127, "256x256"


def initialize():
    """Give this process a session of its own.

    Forked processes share the connection of the one they come from, and take each other's answers
    from it. On Earth Engine, TLS notices and the decorator tries again; loopback has no TLS.
    """
    ee.Reset()
    ee.Initialize(AnonymousCredentials(), url=URL, project=PROJECT)


def work_items():
    """Draw points in each ecoregion of Colorado, on Earth Engine's side."""
    states = ee.FeatureCollection("FAO/GAUL/2015/level1")
    colorado = states.filter(ee.Filter.eq("ADM1_NAME", "Colorado")).geometry()
    ecoregions = ee.FeatureCollection("RESOLVE/ECOREGIONS/2017").filterBounds(colorado)
    painted = ecoregions.reduceToImage(["ECO_ID"], ee.Reducer.first()).rename("ECO_ID").toInt()
    points = painted.stratifiedSample(
        numPoints=COUNT, classBand="ECO_ID", region=colorado, scale=1000, geometries=True, seed=7
    )
    return points.aggregate_array(".geo").getInfo()


@retry(tries=10, delay=1, backoff=2)
def fetch(index, point):
    """Make a URL for the point's chip and download it."""
    region = ee.Geometry.Point(point["coordinates"]).buffer(BUFFER).bounds()
    image = (
        ee.ImageCollection("USDA/NAIP/DOQQ")
        .filterBounds(region)
        .filterDate("2019", "2020")
        .mosaic()
        .clip(region)
        .select("R", "G", "B")
    )
    url = image.getThumbURL({"region": region, "dimensions": DIMENSIONS, "format": "png"})
    answer = requests.get(url, stream=True, timeout=60)
    answer.raise_for_status()
    with (FOLDER / f"tile{index:05d}.png").open("wb") as file:
        shutil.copyfileobj(answer.raw, file)


if __name__ == "__main__":
    initialize()
    found = work_items()
    (FOLDER / "points.json").write_text(json.dumps(found))
    with multiprocessing.Pool(4, initializer=initialize) as pool:
        pool.starmap(fetch, enumerate(found))
        pool.close()
        pool.join()
