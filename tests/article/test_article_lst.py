"""The article's second job runs on the emulator as it is, and eedask gives the same numbers."""

import csv
import subprocess
import sys
from pathlib import Path

import dask
import ee
import pandas as pd
import pytest

import eedask

SCRIPT = Path(__file__).with_name("article_lst.py")
EXAMPLE = Path(__file__).parents[2] / "examples/lst_timeseries.py"


@pytest.mark.slow
def test_the_articles_pool_and_eedask_give_the_same_series(earth_engine, tmp_path):
    level2 = ee.FeatureCollection("FAO/GAUL/2015/level2")
    guyana = level2.filter(ee.Filter.inList("ADM0_NAME", ["Guyana"]))
    items = eedask.items.from_features(guyana, properties=["ADM2_CODE", "ADM2_NAME"]).iloc[::40]
    codes = ",".join(map(str, items["ADM2_CODE"]))
    done = subprocess.run(
        [sys.executable, str(SCRIPT), earth_engine.url, earth_engine.project, codes, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    images = ee.ImageCollection("MODIS/061/MOD11A2").filterDate("2019-06-01", "2019-08-01")
    plan = eedask.time_series(
        items,
        images.select("LST_Day_1km"),
        "max",
        out=tmp_path / "out",
        region=lambda item: level2.filter(ee.Filter.eq("ADM2_CODE", item["ADM2_CODE"])),
    )
    with dask.config.set(scheduler="threads"):
        table = plan.run(progress=False).table()
    for _, rows in table.groupby(level=0):
        with Path(tmp_path, f"{rows['ADM2_CODE'].iloc[0]}.csv").open() as file:
            theirs = [(row["date"], row["LST_Day_1km"]) for row in csv.DictReader(file)]
        ours = [
            (f"{time:%Y-%m-%d}", "" if pd.isna(value) else str(value))
            for time, value in zip(rows["time"], rows["LST_Day_1km"], strict=True)
        ]
        assert ours == theirs
        assert len(ours) == 8
    assert table["LST_Day_1km"].notna().any()


@pytest.mark.slow
def test_the_example_leaves_a_table_files_and_a_page(tmp_path):
    command = [sys.executable, str(EXAMPLE), "--out", str(tmp_path / "lst"), "--count", "3"]
    done = subprocess.run(
        [*command, "--end", "2019-02-01"], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "3 ok, 0 failed" in done.stdout
    assert len(list((tmp_path / "lst/csv").glob("*.csv"))) == 3
    assert len(eedask.open_result(tmp_path / "lst").table()) == 3 * 4
    assert "Highest land surface temperature" in (tmp_path / "lst/lst.html").read_text()
