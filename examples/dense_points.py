"""Dense points in one scene: their values are read out of cells of pixels.

Asking for 50,000 points by themselves takes hundreds of requests. Where they lie close together,
`sample_points` asks for the pixels around thousands of them at once, and reads the points' values
out of those. It runs on the emulator, offline, on synthetic imagery; with --project it runs on
Earth Engine.

    python examples/dense_points.py                        # 50,000 points, about 16 cells
    python examples/dense_points.py --project my-project   # the real scene
"""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path

import ee
import geopandas as gpd
import numpy as np
import shapely
from naip_chips import initialize
from PIL import Image

import eedask

REGION = shapely.box(-105.05, 39.71, -104.95, 39.79)
BANDS = ["B4", "B8"]
# From brown (clouds, roofs, water) over yellow to green, for -0.1 to 0.7.
RAMP = np.array([[122, 82, 48], [214, 187, 118], [243, 237, 158], [120, 178, 74], [16, 94, 38]])
LEAST, MOST = -0.1, 0.7


def main() -> None:
    """Sample the points and leave a table and a map of them."""
    args = parse_arguments()
    with contextlib.ExitStack() as stack:
        initialize(args.project, stack)
        scene = clearest_scene(args.start, args.end)
        region = gpd.GeoDataFrame(geometry=[REGION], crs="EPSG:4326")
        points = eedask.items.random_points(region, args.count, seed=args.seed)
        plan = eedask.sample_points(points, scene.select(BANDS), out=args.out, by=args.by)
        print(plan)
        table = plan.run().table()
    table["ndvi"] = (table["B8"] - table["B4"]) / (table["B8"] + table["B4"])
    table.to_parquet(Path(args.out, "points.parquet"))
    print(table[[*BANDS, "ndvi"]].describe().round(2).to_string())
    print(f"look at {draw(table, args.out)}")


def clearest_scene(start: str, end: str) -> ee.Image:
    """Return the Sentinel-2 image with the fewest clouds that has all of the region."""
    collection = "COPERNICUS/S2_SR_HARMONIZED"
    scenes = ee.ImageCollection(collection).filterDate(start, end)
    ids = eedask.items.image_ids(
        scenes.filter(ee.Filter.contains(".geo", ee.Geometry.Rectangle(*REGION.bounds))),
        ["CLOUDY_PIXEL_PERCENTAGE"],
    )
    return ee.Image(f"{collection}/{ids['CLOUDY_PIXEL_PERCENTAGE'].idxmin()}")


def draw(table: gpd.GeoDataFrame, out: str, side: int = 900) -> Path:
    """Draw a dot for each point, coloured by its index of vegetation; return the picture's path."""
    left, bottom, right, top = REGION.bounds
    height = round(side * (top - bottom) / (right - left) / np.cos(np.radians(top)))
    known = table.dropna(subset="ndvi")
    steps = np.linspace(LEAST, MOST, len(RAMP))
    colours = np.column_stack([np.interp(known["ndvi"], steps, part) for part in RAMP.T])
    x = ((known.geometry.x - left) / (right - left) * (side - 3)).astype(int).to_numpy()
    y = ((top - known.geometry.y) / (top - bottom) * (height - 3)).astype(int).to_numpy()
    canvas = np.full((height, side, 3), 255, np.uint8)
    for down, across in np.ndindex(3, 3):
        canvas[y + down, x + across] = colours.round()
    path = Path(out, "points.png")
    Image.fromarray(canvas).save(path)
    return path


def parse_arguments() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=50_000, help="points")
    parser.add_argument("--start", default="2023-06-01")
    parser.add_argument("--end", default="2023-08-01")
    parser.add_argument("--by", default="auto", help="'points' or 'cells', to compare")
    parser.add_argument("--out", default="dense_points", help="the folder to fill")
    parser.add_argument("--seed", type=int, default=42, help="of the random points")
    parser.add_argument("--project", help="Google Cloud project; without it, the emulator")
    return parser.parse_args()


if __name__ == "__main__":
    main()
