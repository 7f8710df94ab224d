"""Land surface temperature of South America's districts: the second job of "Fast(er) Downloads".

Takes the highest day-time temperature in each GAUL level-2 region of South America, every eight
days (MOD11A2), as one Parquet table and one CSV a region, and draws a few of them. The regions
are named to Earth Engine by their code, so that no outline is moved. It runs on the emulator,
offline, on synthetic data; with --project it runs on Earth Engine.

    python examples/lst_timeseries.py                                # some minutes, 40 regions
    python examples/lst_timeseries.py --count 0 --project my-project # the whole job
"""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path

import ee
import geopandas as gpd
from bokeh.models import ColumnDataSource
from bokeh.palettes import Category10
from bokeh.plotting import figure, output_file, save
from bokeh.resources import INLINE
from naip_chips import initialize

import eedask

COUNTRIES = [
    "Argentina",
    "Bolivia",
    "Brazil",
    "Chile",
    "Colombia",
    "Ecuador",
    "French Guiana",
    "Guyana",
    "Paraguay",
    "Peru",
    "Suriname",
    "Uruguay",
    "Venezuela",
]
# MOD11A2 has kelvin in steps of 0.02
# (https://developers.google.com/earth-engine/datasets/catalog/MODIS_061_MOD11A2).
STEP, ZERO_CELSIUS = 0.02, 273.15


def main() -> None:
    """Make the table, the CSV files and the plot."""
    args = parse_arguments()
    with contextlib.ExitStack() as stack:
        initialize(args.project, stack)
        districts = districts_of_south_america(args.count)
        print(f"{len(districts)} districts in {districts['ADM0_NAME'].nunique()} countries")
        plan = eedask.time_series(
            districts,
            temperature(args.start, args.end),
            "max",
            out=args.out,
            region=district,
        )
        print(plan)
        result = plan.run()
    files = result.to_csv_per_item(Path(args.out, "csv"))
    table = result.table()
    print(table.groupby("ADM0_NAME")["LST_Day_1km"].describe().round(1).to_string())
    print(f"{len(files)} CSV files in {Path(args.out, 'csv')}; look at {draw(table, args.out)}")


def temperature(start: str, end: str) -> ee.ImageCollection:
    """Return day-time land surface temperature in degrees Celsius, an image every eight days."""
    days = ee.ImageCollection("MODIS/061/MOD11A2").filterDate(start, end).select("LST_Day_1km")

    def to_celsius(image: ee.Image) -> ee.Image:
        celsius = image.multiply(STEP).subtract(ZERO_CELSIUS)
        return ee.Image(celsius.copyProperties(image, ["system:time_start"]))

    return days.map(to_celsius)


def district(item: eedask.Item) -> ee.FeatureCollection:
    """Return a district as Earth Engine has it."""
    regions = ee.FeatureCollection("FAO/GAUL/2015/level2")
    return regions.filter(ee.Filter.eq("ADM2_CODE", item["ADM2_CODE"]))


def districts_of_south_america(count: int) -> gpd.GeoDataFrame:
    """Return names and codes of districts, spread over the continent; all of them with 0."""
    level2 = ee.FeatureCollection("FAO/GAUL/2015/level2")
    table = eedask.items.from_features(
        level2.filter(ee.Filter.inList("ADM0_NAME", COUNTRIES)),
        properties=["ADM0_NAME", "ADM1_NAME", "ADM2_NAME", "ADM2_CODE"],
    )
    table = table.sort_values("ADM2_CODE").set_index("ADM2_CODE", drop=False)
    step = max(1, len(table) // count) if count else 1
    return table.iloc[::step].head(count or None).rename_axis("district")


def draw(table: gpd.GeoDataFrame, out: str) -> Path:
    """Draw the series of a few districts, far apart, into a page; return its path."""
    path = Path(out, "lst.html")
    page = figure(
        width=1000,
        height=500,
        x_axis_type="datetime",
        title="Highest land surface temperature of a district, every 8 days",
        y_axis_label="degrees Celsius",
    )
    ids = table.index.unique()
    chosen = ids[:: max(1, len(ids) // 6)][:6]
    for id_, colour in zip(chosen, Category10[10], strict=False):
        rows = table.loc[[id_]]
        first = rows.iloc[0]
        times = rows["time"].dt.tz_localize(None)  # bokeh knows no time zones
        data = ColumnDataSource({"time": times, "lst": rows["LST_Day_1km"]})
        name = f"{first['ADM2_NAME']}, {first['ADM0_NAME']}"
        page.line("time", "lst", source=data, color=colour, line_width=2, legend_label=name)
    page.add_layout(page.legend[0], "right")
    page.legend.click_policy = "hide"
    output_file(path, title="Land surface temperature", mode="inline")
    save(page, resources=INLINE)
    return path


def parse_arguments() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=40, help="districts; 0 for all of them")
    parser.add_argument("--start", default="2019-01-01")
    parser.add_argument("--end", default="2020-01-01")
    parser.add_argument("--out", default="lst", help="the folder to fill")
    parser.add_argument("--project", help="Google Cloud project; without it, the emulator")
    return parser.parse_args()


if __name__ == "__main__":
    main()
