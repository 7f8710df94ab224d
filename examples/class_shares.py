"""Shares of land cover in grid cells: a histogram of ESA WorldCover a cell, a column a class.

Lays a grid over the Front Range of Colorado, counts the pixels of each class in every cell, many
cells a request, and draws each cell in the mixed colours of its classes. It runs on the emulator,
offline, on synthetic land; with --project it runs on Earth Engine.

    python examples/class_shares.py                        # seconds, a few hundred cells
    python examples/class_shares.py --project my-project   # the real land
"""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path

import ee
import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from naip_chips import initialize
from PIL import Image, ImageDraw, ImageFont

import eedask

REGION = shapely.box(-105.45, 39.6, -104.85, 40.0)
# Classes and colours
# (https://developers.google.com/earth-engine/datasets/catalog/ESA_WorldCover_v200).
CLASSES = {
    10: ("Tree cover", "#006400"),
    20: ("Shrubland", "#ffbb22"),
    30: ("Grassland", "#ffff4c"),
    40: ("Cropland", "#f096ff"),
    50: ("Built-up", "#fa0000"),
    60: ("Bare / sparse vegetation", "#b4b4b4"),
    70: ("Snow and ice", "#f0f0f0"),
    80: ("Permanent water bodies", "#0064c8"),
    90: ("Herbaceous wetland", "#0096a0"),
    95: ("Mangroves", "#00cf75"),
    100: ("Moss and lichen", "#fae6a0"),
}
SIDE, MARGIN, LEGEND = 22, 16, 240


def main() -> None:
    """Count the classes and leave a table, a file of shares and a map."""
    args = parse_arguments()
    with contextlib.ExitStack() as stack:
        initialize(args.project, stack)
        cells = eedask.items.grid(REGION, args.cell, crs="utm")
        print(f"{len(cells)} cells of {args.cell / 1000:g} km")
        plan = eedask.reduce_regions(
            cells,
            ee.ImageCollection("ESA/WorldCover/v200").first(),
            "frequencyHistogram",
            out=args.out,
            scale=args.scale,
            classes=[*CLASSES],
        )
        print(plan)
        result = plan.run()
    shares = shares_of(result.table())
    shares.to_parquet(Path(args.out, "shares.parquet"))
    named = shares.filter(like="Map_").rename(columns=lambda name: CLASSES[class_of(name)][0])
    named = named.loc[:, named.max() > 0]
    print((named.describe().T[["mean", "max"]] * 100).round(1).to_string())
    print(f"look at {draw(shares, args.out)}")


def shares_of(table: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return the table with each class's share of a cell, from 0 to 1, in place of its pixels."""
    counts = table.filter(like="Map_")
    return table.assign(**counts.div(counts.sum(axis=1), axis=0))


def class_of(column: str) -> int:
    """Return the class whose column is called so."""
    return int(column.removeprefix("Map_"))


def draw(shares: gpd.GeoDataFrame, out: str) -> Path:
    """Draw each cell in its classes' colours, mixed by their shares; return the picture's path."""
    columns = shares["column"] - shares["column"].min()
    rows = shares["row"] - shares["row"].min()
    width, height = (columns.max() + 1) * SIDE, (rows.max() + 1) * SIDE
    picture = Image.new("RGB", (width + LEGEND + 3 * MARGIN, height + 2 * MARGIN), "white")
    pen = ImageDraw.Draw(picture)
    for x, y, colour in zip(columns, rows, mixed(shares), strict=True):
        left, top = MARGIN + x * SIDE, MARGIN + y * SIDE
        pen.rectangle((left, top, left + SIDE - 2, top + SIDE - 2), fill=colour)
    draw_legend(pen, width + 2 * MARGIN, shares.filter(like="Map_").mean())
    path = Path(out, "shares.png")
    picture.save(path)
    return path


def mixed(shares: gpd.GeoDataFrame) -> list[tuple[int, int, int]]:
    """Return a colour for each cell: the mean of its classes' colours by their shares."""
    by_class = shares.filter(like="Map_")
    hexes = [CLASSES[class_of(name)][1].removeprefix("#") for name in by_class]
    palette = np.array([list(bytes.fromhex(text)) for text in hexes])
    colours = by_class.fillna(0).to_numpy(float) @ palette
    return [(int(red), int(green), int(blue)) for red, green, blue in colours.round()]


def draw_legend(pen: ImageDraw.ImageDraw, left: int, means: pd.Series[float]) -> None:
    """Name the classes that there are, the commonest first, with their share of all."""
    font = ImageFont.load_default(size=14)
    for at, (name, share) in enumerate(means[means > 0].sort_values(ascending=False).items()):
        label, colour = CLASSES[class_of(str(name))]
        top = MARGIN + at * 28
        pen.rectangle((left, top, left + 20, top + 18), fill=colour, outline="#cccccc")
        pen.text((left + 28, top), f"{label}, {share:.1%}", fill="#23272f", font=font)


def parse_arguments() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cell", type=float, default=2000, help="side of a cell, metres")
    parser.add_argument("--scale", type=float, default=60, help="metres a pixel; the image has 10")
    parser.add_argument("--out", default="class_shares", help="the folder to fill")
    parser.add_argument("--project", help="Google Cloud project; without it, the emulator")
    return parser.parse_args()


if __name__ == "__main__":
    main()
