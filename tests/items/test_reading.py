"""Items from files are those that geopandas reads, or a message that says what is wrong."""

import geopandas as gpd
import pandas as pd
import pytest
import shapely

from eedask.errors import InputError, ItemsError
from eedask.items import read


def plots(crs="EPSG:32613"):
    shapes = [shapely.box(k, 0, k + 1, 1) for k in range(3)]
    columns = {"id": ["b", "a", "c"], "kind": [1, 2, 3]}
    return gpd.GeoDataFrame(columns, geometry=shapes, crs=crs)


@pytest.mark.parametrize("name", ["plots.parquet", "plots.gpkg", "plots.geojson", "plots.fgb"])
def test_ids_and_crs_are_the_files_own(tmp_path, name):
    crs = "EPSG:4326" if name.endswith("json") else "EPSG:32613"
    made = plots(crs)
    made.to_parquet(tmp_path / name) if name.endswith("parquet") else made.to_file(tmp_path / name)
    found = read(tmp_path / name)
    assert found.index.name == "id"
    assert found.crs == crs
    found = found.loc[["b", "a", "c"]]
    assert found["kind"].tolist() == [1, 2, 3]
    assert found.geom_equals(made.set_index("id").geometry).all()
    again = read(str(tmp_path / name), id="kind")
    assert sorted(again.index) == [1, 2, 3]


def test_without_a_column_of_ids_the_index_is_parquets_or_numbers(tmp_path):
    bare = plots().drop(columns="id")
    bare.to_file(tmp_path / "bare.gpkg")
    assert read(tmp_path / "bare.gpkg").index.tolist() == [0, 1, 2]
    bare.set_axis(pd.Index(["x", "y", "z"], name="p")).to_parquet(tmp_path / "bare.parquet")
    for more in ({}, {"id": "p"}):
        assert read(tmp_path / "bare.parquet", **more).index.tolist() == ["x", "y", "z"]


@pytest.mark.parametrize("names", [("lon", "lat"), ("Longitude", "LATITUDE"), ("lng", "Lat")])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_columns_of_coordinates_become_points(tmp_path, names, suffix):
    table = pd.DataFrame({"id": ["a", "b"], names[0]: [-105.5, 180], names[1]: [40, -90]})
    path = tmp_path / f"sites.{suffix}"
    table.to_csv(path, index=False) if suffix == "csv" else table.to_parquet(path)
    found = read(path)
    assert found.crs == "EPSG:4326"
    assert found.index.tolist() == ["a", "b"]
    assert found.geometry.tolist() == [shapely.Point(-105.5, 40), shapely.Point(180, -90)]
    assert list(names) == found.columns[:2].tolist()


def test_a_table_without_places_is_of_items_without_geometry(tmp_path):
    (tmp_path / "ids.csv").write_text("id,k\n1,2\n3,4\n")
    found = read(tmp_path / "ids.csv")
    assert found.index.tolist() == [1, 3]
    assert found.geometry.isna().all()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,lon\na,1\n", "a column 'lon', but none of latitude: call it one of latitude, lat"),
        ("id,lat\na,1\n", "a column 'lat', but none of longitude"),
        ("id,lon,lat\na,1,2\nb,x,4\n", "items 'b' have no place .* 'lon' and 'lat', in degrees"),
        ("id,lon,lat\na,1,2\nb,3,\n", "items 'b' have no place"),
        ("id,lon,lat\na,40,-105\n", r"items 'a' have no place .*40.*-105"),
        ("id,lon,lat\na,1,2\na,3,4\n", "ids stand twice in the index: 'a'"),
        ("id,lon,lat\n", "no items"),
        ('id,geometry\na,"POINT (1 2)"\n', "a column 'geometry' that geopandas does not take"),
        ('id,lon,lat,geometry\na,1,2,"POINT (1 2)"\n', "a column 'geometry' that geopandas"),
        ("id,lon,lat\n1,1,2\n,3,4\n", "ids are all integers or all strings"),
    ],
)
def test_tables_that_hold_no_items_are_refused(tmp_path, text, words):
    path = tmp_path / "sites.csv"
    path.write_text(text)
    with pytest.raises(ItemsError, match=rf"sites\.csv: .*{words}"):
        read(path)


def test_an_id_that_is_stated_is_there(tmp_path):
    (tmp_path / "ids.csv").write_text("plot,k\n1,2\n")
    with pytest.raises(InputError, match=r"ids\.csv has no column 'plots' .* \['plot', 'k'\]"):
        read(tmp_path / "ids.csv", id="plots")


def test_of_several_layers_none_is_chosen_in_silence(tmp_path):
    for layer in ("north", "south"):
        plots().to_file(tmp_path / "plots.gpkg", layer=layer)
    with pytest.raises(InputError, match=r"layers, 'north', 'south': .*layer='south'"):
        read(tmp_path / "plots.gpkg")


@pytest.mark.parametrize("path", [None, 5, b"x.csv"])
def test_a_path_is_text(path):
    with pytest.raises(InputError, match="path is that of a file, as text; got"):
        read(path)


@pytest.mark.parametrize("name", ["none.gpkg", "none.csv", "none.parquet", "none"])
def test_files_that_cannot_be_read_are_refused(tmp_path, name):
    with pytest.raises(InputError, match=f"no items can be read from .*{name}"):
        read(tmp_path / name)
    (tmp_path / name).write_bytes(b"\x00\xff\xfe no table")
    with pytest.raises(InputError, match=f"no items can be read from .*{name}|{name}: "):
        read(tmp_path / name)
