"""The article's script runs on the emulator as it is, and eedask gives the same chips."""

import json
import subprocess
import sys
from pathlib import Path

import ee
import geopandas as gpd
import pytest
import shapely

import eedask

SCRIPT = Path(__file__).with_name("article_naip.py")


def naip(item):
    region = item.geometry.buffer(127).bounds()
    return (
        ee.ImageCollection("USDA/NAIP/DOQQ")
        .filterBounds(region)
        .filterDate("2019", "2020")
        .mosaic()
        .clip(region)
        .select("R", "G", "B")
    )


@pytest.mark.slow
def test_the_articles_pool_and_eedask_give_the_same_chips(earth_engine, tmp_path):
    folder = tmp_path / "article"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, str(SCRIPT), earth_engine.url, earth_engine.project, "3", str(folder)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((folder / "points.json").read_text())
    tiles = sorted(folder.glob("tile*.png"))
    assert len(tiles) == len(found) >= 4 * 3
    points = gpd.GeoDataFrame(geometry=[shapely.geometry.shape(p) for p in found], crs="EPSG:4326")
    for method in ("compute_pixels", "thumb_url"):
        result = eedask.chips(
            points, naip, out=tmp_path / method, region=127, shape=(256, 256), method=method
        ).run(progress=False)
        assert (result.manifest["status"] == "ok").all(), result.summary()
        for number, tile in enumerate(tiles):
            chip = tmp_path / method / result.manifest["path"][number]
            assert chip.read_bytes() == tile.read_bytes()
    assert len({tile.read_bytes() for tile in tiles}) == len(tiles)
