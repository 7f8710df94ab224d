"""The article's second job, written anew: a pool, a district a request, a CSV a district.

Run as a script with the emulator's URL and project, the codes of the districts, and a folder.
Nothing of eedask is used but the emulator that answers. On Earth Engine, only ``ee.Initialize``
differs.
"""

import csv
import multiprocessing
import pathlib
import sys

import ee
from google.auth.credentials import AnonymousCredentials
from retry import retry

URL, PROJECT, CODES, FOLDER = *sys.argv[1:3], sys.argv[3].split(","), pathlib.Path(sys.argv[4])
SPAN = ("2019-06-01", "2019-08-01")


def initialize():
    """Give this process a session of its own; see ``article_naip.py``."""
    ee.Reset()
    ee.Initialize(AnonymousCredentials(), url=URL, project=PROJECT)


@retry(tries=10, delay=1, backoff=2)
def fetch(code):
    """Reduce every image over one district, and write what comes."""
    districts = ee.FeatureCollection("FAO/GAUL/2015/level2")
    district = districts.filter(ee.Filter.eq("ADM2_CODE", int(code))).first()
    images = ee.ImageCollection("MODIS/061/MOD11A2").filterDate(*SPAN).select("LST_Day_1km")

    def reduce(image):
        found = image.reduceRegion(ee.Reducer.max(), district.geometry(), maxPixels=1e9)
        return ee.Feature(None, found).set("date", image.date().format("YYYY-MM-dd"))

    features = images.map(reduce).getInfo()["features"]
    with (FOLDER / f"{code}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["date", "LST_Day_1km"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(feature["properties"] for feature in features)


if __name__ == "__main__":
    initialize()
    with multiprocessing.Pool(3, initializer=initialize) as pool:
        pool.map(fetch, CODES)
        pool.close()
        pool.join()
