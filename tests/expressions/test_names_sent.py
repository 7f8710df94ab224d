"""The names of functions' arguments that reach Earth Engine are ones that any parser takes."""

import json
import re

import ee
import pytest
from fields import fields
from mounted import FIELD, SERIES

import eedask
from eedask.expressions import symbols

pytestmark = pytest.mark.usefixtures("threads")


def names_in(node):
    """Yield the names of arguments that are declared and used within a request's body."""
    if isinstance(node, list):
        for child in node:
            yield from names_in(child)
    elif isinstance(node, dict):
        yield from node.get("functionDefinitionValue", {}).get("argumentNames", [])
        if "argumentReference" in node:
            yield node["argumentReference"]
        for child in node.values():
            yield from names_in(child)


def dated(item=None):
    """The series with times."""
    return ee.ImageCollection(SERIES).map(lambda image: image.set("system:time_start", 1e12))


def test_names_are_of_letters_digits_and_underscores(initialize, rasters, tmp_path, sent):
    initialize()
    items = fields(rasters.field, 3).rename(columns={"k": "größe (m)"})
    image = lambda item: ee.Image(FIELD).set("k", item["größe (m)"])  # noqa: E731
    points = items.set_geometry(items.representative_point())
    plans = [
        eedask.reduce_regions(items, image, "mean", out=tmp_path / "regions"),
        eedask.sample_points(points, image, out=tmp_path / "points"),
        eedask.time_series(items, dated(), "mean", out=tmp_path / "series"),
        eedask.compute(
            items, lambda item: ee.Dictionary({"k": item["größe (m)"]}), out=tmp_path / "values"
        ),
    ]
    for plan in plans:
        assert plan.run(progress=False).failed.empty
    eedask.items.from_features(ee.FeatureCollection([ee.Feature(None, {"a": 1})]))
    names = {name for body in sent for name in names_in(json.loads(body))}
    assert any(name.startswith("_eedask") for name in names)
    assert [name for name in names if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name)] == []


@pytest.mark.parametrize("column", ["k", "größe (m)", "\ud800", ""])
def test_a_variable_tells_which_field_it_stands_for(column):
    item = symbols.TracedItem({f"column:{column}": 1})
    name = item[column].varName
    assert re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name)
    assert symbols.slot_of(name) == f"column:{column}"
    assert symbols.slot_of("_MAPPING_VAR_0_0") is None
