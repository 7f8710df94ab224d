"""The names of subfolders, by the values of items."""

import datetime

import geopandas as gpd
import pandas as pd
import pytest

from eedask.dataset.subfolders import Subfolders
from eedask.items.item import work_items
from eedask.results.reporting.chosen import chosen

TIMES = [
    (pd.Timestamp("2019-07-01"), "2019-07-01"),
    (datetime.date(2019, 7, 1), "2019-07-01"),
    (pd.Timestamp("2019-07-01T00:00", tz="America/Denver"), "2019-07-01"),
    (pd.Timestamp("2019-07-01T17:30"), "2019-07-01T173000"),
    (pd.Timestamp("2019-07-01T17:30:00.25"), "2019-07-01T173000.250000"),
]


@pytest.mark.parametrize(("value", "name"), TIMES)
def test_times_name_folders_as_people_write_them(value, name):
    items = gpd.GeoDataFrame({"day": [value], "site": [3]}, geometry=[None], crs="EPSG:4326")
    (item,) = work_items(items)
    assert Subfolders(("day", "site")).path(item, unique_case=True) == f"{name}/3/"
    # The report names the groups alike.
    assert [group.name for group in chosen(items, ["day", "site"], 1)] == [f"{name}, 3"]
