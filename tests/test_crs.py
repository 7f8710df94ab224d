"""A crs is named as Earth Engine takes it; one that only Earth Engine reads ends no run."""

import re

import ee
import numpy as np
import pandas as pd
import pyproj
import pytest
import urllib3
from fields import fields
from fire import initialized
from loopback import reply, serving
from mounted import FIELD

import eedask
from eedask.crs import as_pyproj, canonical_crs, same_crs
from eedask.errors import InputError


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("OGC:CRS84", "EPSG:4326"),
        (pyproj.CRS("OGC:CRS84"), "EPSG:4326"),
        ("OGC:CRS83", "EPSG:4269"),
        (32614, "EPSG:32614"),
        ("sr-org:6974", "SR-ORG:6974"),
    ],
)
def test_codes_are_those_that_earth_engine_knows(given, name):
    assert canonical_crs(given) == name


@pytest.mark.parametrize("given", ["ESRI:54009", "ESRI:102001", "IGNF:LAMB93", "+proj=moll"])
def test_what_has_no_epsg_code_is_sent_as_wkt1(given):
    wkt = canonical_crs(given)
    assert re.match(r"(PROJCS|GEOGCS)\[", wkt)
    ways = [pyproj.Transformer.from_crs(4326, crs, always_xy=True) for crs in (given, wkt)]
    ours, theirs = (way.transform([-95, 3, -60], [30, 48, 55]) for way in ways)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    assert as_pyproj(wkt).axis_info[0].unit_name == pyproj.CRS(given).axis_info[0].unit_name


def test_names_of_one_crs_are_known_to_be_that():
    sinusoidal = as_pyproj("SR-ORG:6974")
    assert same_crs(canonical_crs(sinusoidal), "SR-ORG:6974")
    assert same_crs(sinusoidal.to_wkt("WKT2_2019"), canonical_crs(sinusoidal))
    assert not same_crs("EPSG:32613", "EPSG:32614")
    assert not same_crs("EPSG:32613", "SR-ORG:6842")


@pytest.mark.parametrize("given", ["EPSG:4978", "EPSG:5703", 'LOCAL_CS["site"]'])
def test_what_has_no_plane_for_pixels_is_refused(given):
    with pytest.raises(InputError, match="has no plane for pixels: give a projected crs"):
        canonical_crs(given)


class Renaming:
    """Hands requests on to an emulator, and answers in a crs that pyproj does not know."""

    def __init__(self, url, name):
        self.url, self.name, self.http = url, name, urllib3.PoolManager(maxsize=8)

    def answer(self, handler):
        asked = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        del handler.headers["Content-Length"]
        handler.headers["Content-Length"] = "0"  # what is read is read
        kind = {"Content-Type": "application/json"}
        url = self.url + handler.path
        got = self.http.request(handler.command, url, body=asked or None, headers=kind)
        data = got.data
        if b"projection" in data or b'"crs"' in data:
            data = data.replace(b"EPSG:32614", self.name)
        reply(handler, got.status, data, kind)


@pytest.fixture(params=[b"SR-ORG:6842", b"PROJCS[odd]"])
def renaming(request, emulator):
    server = Renaming(emulator.url, request.param)
    with serving(server.answer) as url, initialized(url, emulator.project):
        yield server
    server.http.clear()


@pytest.mark.usefixtures("threads")
def test_tables_of_an_image_in_a_crs_that_cannot_be_read(renaming, rasters, emulator, tmp_path):
    items = fields(rasters.field, 5)
    points = items.set_geometry(items.representative_point())

    def tables(where):
        means = eedask.reduce_regions(items, ee.Image(FIELD), "mean", out=tmp_path / where / "r")
        at = eedask.sample_points(points, ee.Image(FIELD), out=tmp_path / where / "p")
        return [plan.run(progress=False).table().sort_index() for plan in (means, at)]

    found = tables("renamed")
    with initialized(emulator.url, emulator.project):
        wanted = tables("plain")
    for one, other in zip(found, wanted, strict=True):
        pd.testing.assert_frame_equal(one, other)
        assert one["b1"].notna().any()


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("of_each", [False, True])
def test_chips_of_such_an_image_say_to_state_a_grid(renaming, rasters, tmp_path, of_each):
    items = fields(rasters.field, 2)
    image = ee.Image(FIELD)
    what = (lambda item: image.set("id", item.id)) if of_each else image
    options = {"crs": "native", "shape": (8, 8), "format": "npy", "out": tmp_path / "o"}
    words = r"cannot be read by pyproj.*State another crs= \(such as 'utm'\) and scale="
    if not of_each:
        with pytest.raises(InputError, match=words):
            eedask.chips(items, what, **options).run(progress=False)
        return
    failed = eedask.chips(items, what, **options).run(progress=False).failed
    assert failed["error"].str.contains(words).tolist() == [True, True]
