"""People of the synthetic world: by country and year, in its towns."""

import datetime as dt

import numpy as np
import pytest
import shapely
from affine import Affine

from eedask.emulator.catalog import Catalog
from eedask.emulator.catalog.datasets import land_cover
from eedask.emulator.catalog.dates import millis
from eedask.emulator.catalog.world import iso, outlines
from eedask.emulator.errors import EarthEngineError
from eedask.emulator.pixels.raster import Grid
from eedask.emulator.values.value_types import Query

CATALOG = Catalog()
NAIROBI = (36.82, -1.28)


def grid(lon, lat, step=1 / 1200, size=120):
    half = step * size / 2
    return Grid("EPSG:4326", Affine(step, 0, lon - half, 0, -step, lat + half), size, size)


def read(asset_id, on):
    return CATALOG.load_image(asset_id).bands[0].read(on)


def test_images_by_country_and_year():
    image = CATALOG.load_image("WorldPop/GP/100m/pop/KEN_2020")
    assert image.properties["country"] == "KEN"
    assert image.properties["year"] == 2020
    assert image.properties["system:time_start"] == millis(dt.date(2020, 1, 1))
    assert [(b.id, b.type.dtype.name) for b in image.bands] == [("population", "float32")]
    assert image.bands[0].projection.transform.a == pytest.approx(0.000833333333)
    collection = CATALOG.load_collection("WorldPop/GP/100m/pop")
    found = collection.elements(Query(equals={"year": 2015}, bounds=(*NAIROBI, *NAIROBI)))
    names = [i.properties["system:index"] for i in found]
    assert "KEN_2015" in names  # among those of countries whose boxes reach there
    assert len(names) < 8
    decade = Query(equals={"country": "KEN"}, start=millis(dt.date(2010, 1, 1)))
    years = [i.properties["year"] for i in collection.elements(decade)]
    assert years == list(range(2010, 2021))
    for wrong in ("KEN_1999", "XXX_2020", "KEN2020"):
        with pytest.raises(EarthEngineError, match="not found"):
            CATALOG.load_image(f"WorldPop/GP/100m/pop/{wrong}")


def test_every_country_has_its_letters():
    letters = iso.countries()
    assert len(letters) > 210
    kenya = next(c.shape for c in outlines.countries() if c.name == "Kenya")
    assert letters["KEN"].equals(kenya)
    assert letters["USA"].contains(shapely.Point(-100, 40))
    assert letters["BRA"].contains(shapely.Point(-50, -10))
    assert letters["DEU"].contains(shapely.Point(10, 51))


def test_people_live_in_towns_and_multiply():
    on = grid(*NAIROBI)
    earlier, later = (read(f"WorldPop/GP/100m/pop/KEN_{year}", on) for year in (2000, 2020))
    built = read("ESA/WorldCover/v200/2021", on).values == land_cover.BUILT
    assert built.any()
    assert later.values[built].mean() > 5 * later.values[~built].mean()
    assert later.values.sum() > 1.2 * earlier.values.sum()
    far = read("WorldPop/GP/100m/pop/KEN_2020", grid(39.5, 3.0))
    assert far.values[far.mask > 0].mean() < 0.1 * later.values.mean()


def test_no_people_beyond_the_border_nor_on_water():
    on = grid(34.75, 0.5, step=0.01, size=100)  # Uganda, and Lake Victoria's shore
    masks = {
        code: read(f"WorldPop/GP/100m/pop/{code}_2020", on).mask > 0 for code in ("KEN", "UGA")
    }
    assert not (masks["KEN"] & masks["UGA"]).any()
    assert (masks["KEN"] | masks["UGA"]).mean() > 0.9
    t = on.transform
    x, y = t.c + t.a * (np.arange(100) + 0.5), t.f + t.e * (np.arange(100) + 0.5)
    inside = shapely.contains_xy(iso.countries()["KEN"], *np.meshgrid(x, y))
    assert (inside == masks["KEN"]).mean() > 0.95
    on = grid(39.65, -4.06, step=1 / 1200, size=200)  # Mombasa, by the sea
    water = read("ESA/WorldCover/v200/2021", on).values == land_cover.WATER
    people = read("WorldPop/GP/100m/pop/KEN_2020", on).mask > 0
    assert water.any()
    assert people[water].mean() < 0.05
