"""Every Sentinel-2 image over a city in a month: one true-colour picture each, on its own grid.

Denver lies where four tiles meet, and under two orbits: an image shows all of the city, or a part,
or clouds. It runs on the emulator, offline, on synthetic imagery; with --project it runs on Earth
Engine.

    python examples/images_over_a_city.py                        # half a minute, 42 images
    python examples/images_over_a_city.py --project my-project   # the real ones
"""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path

import ee
import shapely
from naip_chips import initialize

import eedask

CITY = shapely.box(-105.01, 39.715, -104.935, 39.755)
# Reflectance times 10,000
# (https://developers.google.com/earth-engine/datasets/catalog/COPERNICUS_S2_SR_HARMONIZED).
TRUE_COLOUR = {"bands": ["B4", "B3", "B2"], "min": 0, "max": 3000}


def main() -> None:
    """Fetch the pictures and leave a folder and a contact sheet."""
    args = parse_arguments()
    with contextlib.ExitStack() as stack:
        initialize(args.project, stack)
        scenes = sentinel2(args.start, args.end)
        ids = eedask.items.image_ids(scenes, ["MGRS_TILE", "CLOUDY_PIXEL_PERCENTAGE"])
        print(f"{len(ids)} images of {ids['MGRS_TILE'].nunique()} tiles")
        plan = eedask.images(
            ids, scenes, region=CITY, out=args.out, format="png", vis_params=TRUE_COLOUR
        )
        print(plan)
        result = plan.run()
    tiles = result.manifest.groupby(["MGRS_TILE", "crs", "height", "width"])
    print(tiles["CLOUDY_PIXEL_PERCENTAGE"].describe().round(1).to_string())
    sheet = Path(args.out, "city.png")
    result.contact_sheet(len(ids), columns=6, side=240).save(sheet)
    print(f"look at {sheet}")


def sentinel2(start: str, end: str) -> ee.ImageCollection:
    """Return the images that meet the city, from a date until just before another."""
    images = ee.ImageCollection("COPERNICUS/S2_SR_HARMONIZED").filterDate(start, end)
    return images.filterBounds(ee.Geometry.Rectangle(*CITY.bounds))


def parse_arguments() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--start", default="2023-06-01")
    parser.add_argument("--end", default="2023-07-01")
    parser.add_argument("--out", default="city", help="the folder to fill")
    parser.add_argument("--project", help="Google Cloud project; without it, the emulator")
    return parser.parse_args()


if __name__ == "__main__":
    main()
