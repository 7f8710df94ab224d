"""Properties that are computed at first need, and questions to a collection that need none."""

import json

import pytest

from eedask.emulator.catalog import Catalog
from eedask.emulator.catalog.datasets import scenes
from eedask.emulator.pixels.late import LateProperties, changed
from eedask.emulator.rest.rest import Core
from eedask.emulator.rest.store import Store

S2, L8 = "COPERNICUS/S2_SR_HARMONIZED", "LANDSAT/LC08/C02/T1_L2"


@pytest.fixture
def calls():
    return []


@pytest.fixture
def late(calls):
    def make():
        calls.append(1)
        return {"b": 2, "c": 3}

    return LateProperties({"a": 1}, ("b", "c"), make)


def test_what_is_known_or_changed_computes_nothing(late, calls):
    assert late["a"] == 1
    assert list(late) == ["a", "b", "c"]
    assert len(late) == 3
    assert "b" in late
    assert "d" not in late
    with pytest.raises(KeyError):
        late["d"]
    other = changed(changed(late, {"d": 4, "a": None}), {"b": 20})
    assert "a" not in other
    assert (other["b"], other["d"]) == (20, 4)
    assert not calls


def test_what_is_late_is_computed_once_for_all_copies(late, calls):
    other = changed(late, {"b": None})
    assert other == {"a": 1, "c": 3}
    assert late == {"a": 1, "b": 2, "c": 3}
    assert changed(other, {"b": 5})["b"] == 5
    assert calls == [1]


def test_plain_properties_change_as_ever():
    assert changed({"a": 1, "b": 2}, {"b": None, "c": 3}) == {"a": 1, "c": 3}


@pytest.fixture
def counted(monkeypatch):
    """Scenes whose clouds were looked for."""
    asked = []
    real = scenes.cover

    def cover(extent, day):
        asked.append((extent, day))
        return real(extent, day)

    monkeypatch.setattr(scenes, "cover", cover)
    return asked


@pytest.fixture
def core(tmp_path):
    return Core(Catalog(), Store(tmp_path))


def listed(core, asset_id, **query):
    path = f"/v1/projects/earthengine-public/assets/{asset_id}:listAssets"
    answer = core.answer("GET", path, query)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


@pytest.mark.parametrize(
    ("asset_id", "cloudiness"), [(S2, "CLOUDY_PIXEL_PERCENTAGE"), (L8, "CLOUD_COVER")]
)
def test_names_are_listed_without_looking_at_clouds(core, counted, asset_id, cloudiness):
    asked = 'startTime >= "2021-03-05" AND startTime < "2021-04-20" AND intersects("POINT(9 47)")'
    names = listed(core, asset_id, view="BASIC", filter=asked)["assets"]
    assert len(names) > 3
    assert not counted
    full = listed(core, asset_id, filter=asked)["assets"]
    assert len(counted) == len(names) == len(full)
    few = listed(core, asset_id, view="BASIC", filter=f"{asked} AND properties.{cloudiness}<50")
    kept = {asset["id"] for asset in full if asset["properties"][cloudiness] < 50}
    assert {asset["id"] for asset in few["assets"]} == kept
    assert 0 < len(kept) < len(names)


def test_a_tile_by_its_name_alone_is_found_at_once(core, counted):
    asked = (
        'properties.MGRS_TILE = "32TMT" AND startTime >= "2021-03-05" AND startTime < "2021-04-20"'
    )
    names = listed(core, S2, view="BASIC", filter=asked)["assets"]
    assert len(names) > 3
    assert all(asset["id"].endswith("_T32TMT") for asset in names)
    assert not counted
    assert listed(core, S2, filter='properties.MGRS_TILE = "99ZZZ"') == {}
