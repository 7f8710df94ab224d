"""Dense points in one scene: the pixels are fetched as grid cells, and the points read from them.

Where points lie so close that most of a scene's tiles hold hundreds of them, asking for points
sends each tile's pixels many times over, as text. Here the scene is cut into cells of its own
pixels, one request each, and the points are looked up in the cells' files. It runs on the emulator,
offline, on synthetic imagery; with --project it runs on Earth Engine.

    python examples/dense_points.py                        # seconds, 50,000 points, 16 cells
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
from affine import Affine
from naip_chips import initialize
from PIL import Image

import eedask

REGION = shapely.box(-105.05, 39.71, -104.95, 39.79)
BANDS = ["B4", "B8"]
# From brown (clouds, roofs, water) over yellow to green, for -0.1 to 0.7.
RAMP = np.array([[122, 82, 48], [214, 187, 118], [243, 237, 158], [120, 178, 74], [16, 94, 38]])
LEAST, MOST = -0.1, 0.7


def main() -> None:
    """Fetch the cells and leave their files, a table of the points and a map of them."""
    args = parse_arguments()
    with contextlib.ExitStack() as stack:
        initialize(args.project, stack)
        scene = clearest_scene(args.start, args.end)
        region = gpd.GeoDataFrame(geometry=[REGION], crs="EPSG:4326")
        points = eedask.items.random_points(region, args.count, seed=args.seed)
        cells = eedask.items.covering_grid(REGION, (256, 256), align=scene.select("B4"))
        print(f"{len(points)} points in {len(cells)} cells")
        plan = eedask.chips(cells, scene, out=args.out, crs="native", format="npy", bands=BANDS)
        print(plan)
        result = plan.run()
    table = with_values(points, result)
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


def with_values(points: gpd.GeoDataFrame, result: eedask.Result) -> gpd.GeoDataFrame:
    """Return points with the values of the pixels that they lie in; masked ones are NaN."""
    cells = result.manifest[result.manifest["status"] == "ok"]
    placed = points.to_crs(cells.crs)
    inside = placed.sjoin(cells[["geometry"]].rename_axis("cell").reset_index(), how="inner")
    values = {band: np.full(len(points), np.nan) for band in BANDS}
    for cell, of_cell in inside.groupby("cell"):
        chip = result.open(cell)
        to_pixel = ~Affine(*cells.at[cell, "transform"])
        column, row = to_pixel @ (of_cell.geometry.x.to_numpy(), of_cell.geometry.y.to_numpy())
        # A point on a cell's last edge is in the pixel before it.
        row, column = (
            np.clip(np.floor(at).astype(int), 0, size - 1)
            for at, size in zip((row, column), chip.shape, strict=True)
        )
        at = points.index.get_indexer(of_cell.index)
        for band in BANDS:
            values[band][at] = np.ma.filled(chip[band][row, column].astype(float), np.nan)
    return points.assign(**values)


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
    parser.add_argument("--out", default="dense_points", help="the folder to fill")
    parser.add_argument("--seed", type=int, default=42, help="of the random points")
    parser.add_argument("--project", help="Google Cloud project; without it, the emulator")
    return parser.parse_args()


if __name__ == "__main__":
    main()
