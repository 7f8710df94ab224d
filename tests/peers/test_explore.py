"""folium, through geopandas: ``result.explore()``, with the packages of ``eedask[explore]``."""

import ee
import geopandas as gpd
import shapely

import eedask

EVIL = """<script>alert("x")</script>"""
EVIL_ID = '"><img src=x onerror=alert(1)>'


def test_a_map_to_explore_has_the_items_and_no_html_of_theirs(earth_engine, tmp_path):
    places = [shapely.Point(-99, 42), shapely.Point(-98, 43)]
    items = gpd.GeoDataFrame(
        {"kind": [EVIL, "plain"], "n": [1, 2]},
        geometry=places,
        index=[EVIL_ID, "b"],
        crs="EPSG:4326",
    )
    plan = eedask.compute(items, lambda item: ee.Number(item["n"]), out=tmp_path / "out")
    result = plan.run(progress=False)
    source = result.explore("kind", tiles=None).get_root().render()
    assert "&lt;script&gt;alert" in source.replace("\\u0026", "&")
    assert EVIL not in source
    assert "onerror=alert(1)>" not in source
