"""Splits keep neighbours together, and do not depend on other items, nor on their order."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from eedask.errors import InputError, ItemsError
from eedask.items import split

GEOD = pyproj.Geod(ellps="WGS84")


def scattered(n, seed=0, box=(-180, -90, 180, 90)):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(box[0], box[2], n), rng.uniform(box[1], box[3], n)
    x = (x + 180) % 360 - 180
    index = pd.Index([f"p{k}" for k in range(n)])
    names = rng.choice(list("abcdefgh"), n)
    return gpd.GeoDataFrame({"k": names}, geometry=gpd.points_from_xy(x, y), index=index, crs=4326)


@pytest.mark.parametrize(
    "arguments", [{"cell_size": 500_000}, {"by": "k"}, {"by": None}], ids=["cell", "column", "item"]
)
@settings(max_examples=10)
@given(st.randoms(use_true_random=False), st.integers(0, 5), st.integers(20, 60))
def test_a_split_does_not_depend_on_order_nor_on_the_others(arguments, random, seed, few):
    items = scattered(60)
    whole = split(items, **arguments, seed=seed)["split"]
    shuffled = random.sample(list(items.index), few)
    pd.testing.assert_series_equal(
        split(items.loc[shuffled], **arguments, seed=seed)["split"], whole.loc[shuffled]
    )


def test_another_seed_is_another_draw():
    items = scattered(100)
    one, two = (split(items, by=None, seed=seed)["split"] for seed in (1, 2))
    assert not one.equals(two)


@pytest.mark.parametrize("box", [(10, 45, 12, 47), (178, -20, 182, -16), (-180, 84, 180, 90)])
def test_items_of_different_splits_are_apart(box):
    """Across the antimeridian and around a pole as well."""
    items = scattered(1500, box=box)
    margin = 2_000
    halves = {"one": 0.5, "other": 0.5}
    found = split(items, shares=halves, cell_size=30_000, margin=margin)["split"]
    assert set(found.dropna()) == set(halves)
    xs, ys = items.geometry.x.to_numpy(), items.geometry.y.to_numpy()
    one, other = (np.flatnonzero(found == name)[:300] for name in halves)
    a, b = (part.ravel() for part in np.meshgrid(one, other))
    distances = GEOD.inv(xs[a], ys[a], xs[b], ys[b])[2]
    assert distances.min() > 2 * margin * 0.99
    # Those left out lie about edges alone: (1 - 2 * 2 / 30) squared of the area is inside.
    assert found.isna().mean() == pytest.approx(1 - (1 - 4 / 30) ** 2, abs=0.08)


@pytest.mark.parametrize("latitude", [0, 45, -70, 85])
def test_cells_are_about_as_wide_everywhere(latitude):
    """Items on a line change their split after one or more cells."""
    size = 20_000
    radius = 6_371_000 * np.cos(np.radians(latitude))
    steps = np.arange(0, 40 * size, 50)
    x = (30 + np.degrees(steps / radius) + 180) % 360 - 180
    items = gpd.GeoDataFrame(geometry=gpd.points_from_xy(x, np.full(len(x), latitude)), crs=4326)
    found = split(items, shares={"a": 0.5, "b": 0.5}, cell_size=size)["split"].to_numpy()
    changes = steps[1:][found[1:] != found[:-1]]
    lengths = np.diff(changes) / size
    assert len(changes) > 5
    off = np.abs(lengths / np.round(lengths) - 1)
    assert off.max() < 0.06


def test_shares_are_met_on_average():
    found = split(scattered(20_000), by=None)["split"].value_counts(normalize=True)
    assert found["train"] == pytest.approx(0.8, abs=0.015)
    assert found["val"] == pytest.approx(0.1, abs=0.01)
    assert found["test"] == pytest.approx(0.1, abs=0.01)


def test_groups_stay_together_and_nothing_else_changes():
    items = scattered(200)
    found = split(items, by="k", shares={"a": 0.4, "b": 0.6})
    assert (found.groupby("k")["split"].nunique() == 1).all()
    assert found["split"].nunique() == 2
    pd.testing.assert_frame_equal(found.drop(columns="split"), items)
    numbered = items.assign(k=np.arange(200) % 7)
    for kind in ("int32", "int64", "category"):
        again = split(numbered.assign(k=numbered["k"].astype(kind)), by="k")["split"]
        pd.testing.assert_series_equal(again, split(numbered, by="k")["split"])


def test_shapes_over_the_antimeridian_and_in_another_crs_are_placed():
    cut = shapely.box(179.99, 0, 180, 0.01) | shapely.box(-180, 0, -179.98, 0.01)
    items = gpd.GeoDataFrame(geometry=[cut, shapely.box(-180, 0, -179.98, 0.01)], crs=4326)
    found = [split(items, cell_size=500_000, seed=k)["split"] for k in range(20)]
    assert all(pair[0] == pair[1] for pair in found)
    metres = items.iloc[1:].to_crs("EPSG:32601")
    assert split(metres, cell_size=500_000)["split"].tolist() == [found[0][1]]


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({}, InputError, "by='cell' needs cell_size=.* got None"),
        ({"cell_size": -1}, InputError, "got -1"),
        ({"cell_size": 1e8}, InputError, "half of the Earth's circumference"),
        ({"by": "k", "cell_size": 10}, InputError, "cell_size goes with by='cell'; got by='k'"),
        ({"by": None, "margin": 10}, InputError, "margin goes with"),
        ({"cell_size": 100, "margin": 50}, InputError, "have no inside 50 m"),
        ({"cell_size": 100, "margin": -5}, InputError, "0 or more; got -5"),
        ({"by": "nope"}, ItemsError, r"no column 'nope' to split by; they have \['k'\]"),
        ({"by": 3}, InputError, "got 3"),
        ({"by": None, "seed": "x"}, InputError, "seed is a whole number, 0 or more; got 'x'"),
        ({"by": None, "shares": {"a": 0.5, "b": 0.6}}, InputError, "add up to 1; .* to 1.1"),
        ({"by": None, "shares": {"a": 1.5, "b": -0.5}}, InputError, "above 0"),
        ({"by": None, "shares": {}}, InputError, "add up to 1"),
        ({"by": None, "shares": [0.8, 0.2]}, InputError, "by the names of the splits"),
    ],
)
def test_splits_that_cannot_be_made_are_refused(arguments, error, words):
    with pytest.raises(error, match=words):
        split(scattered(4), **arguments)


def test_items_that_cannot_be_split_are_named():
    items = scattered(4)
    items.loc["p2", "k"] = None
    with pytest.raises(ItemsError, match="'k', by which to split, is null for items 'p2'"):
        split(items, by="k")
    with pytest.raises(ItemsError, match="a column 'split' already"):
        split(items.assign(split=1), by=None)
    items.loc["p1", "geometry"] = None
    with pytest.raises(ItemsError, match="no geometry: 'p1'"):
        split(items, cell_size=1000)
