"""NAIP chips at random points of Colorado's ecoregions: the first job of "Fast(er) Downloads".

Draws the same number of points in every RESOLVE ecoregion that Colorado has a part of, and fetches
a true-colour chip of 256 x 256 metres around each, one request a chip. It runs on the emulator,
offline, on synthetic imagery; with --project it runs on Earth Engine.

    python examples/naip_chips.py                                    # seconds, a few dozen chips
    python examples/naip_chips.py --count 1000 --project my-project  # the whole job
"""

from __future__ import annotations

import argparse
import contextlib
from typing import Any

import ee
import geopandas as gpd

import eedask


def main() -> None:
    """Fetch the chips and leave a folder with a report."""
    args = parse_arguments()
    with contextlib.ExitStack() as stack:
        initialize(args.project, stack)
        ecoregions = ecoregions_of("Colorado")
        points = eedask.items.random_points(ecoregions, args.count, seed=args.seed)
        print(f"{len(points)} points in {len(ecoregions)} ecoregions")
        plan = eedask.chips(
            points,
            naip,
            out=args.out,
            shape=(256, 256),
            scale=1,
            crs="utm",
            format="png",
            folder_by="ECO_NAME",
        )
        print(plan)
        result = plan.run()
    print(result.manifest.groupby("ECO_NAME")["status"].value_counts().to_string())
    print(f"look at {result.report()}")


def naip(item: eedask.Item) -> ee.Image:
    """Return the most recent picture of the point's surroundings in 2019."""
    return (
        ee.ImageCollection("USDA/NAIP/DOQQ")
        .filterBounds(item.geometry.buffer(256))
        .filterDate("2019", "2020")
        .mosaic()
        .select(["R", "G", "B"])
    )


def ecoregions_of(state: str) -> gpd.GeoDataFrame:
    """Return the parts of the RESOLVE ecoregions that lie in a state, by name."""
    states = ee.FeatureCollection("FAO/GAUL/2015/level1").filter(ee.Filter.eq("ADM1_NAME", state))
    ecoregions = ee.FeatureCollection("RESOLVE/ECOREGIONS/2017").filterBounds(states.geometry())
    outline = eedask.items.from_features(states, properties=["ADM1_NAME"], geometry=True)
    whole = eedask.items.from_features(ecoregions, properties=["ECO_NAME"], geometry=True)
    return gpd.clip(whole, outline, keep_geom_type=True).sort_values("ECO_NAME")


def initialize(project: str | None, stack: contextlib.ExitStack, **options: Any) -> None:
    """Initialise the ``ee`` client on Earth Engine, or on an emulator for as long as we run."""
    if project is not None:
        ee.Initialize(project=project)
        return
    from eedask.emulator import Emulator

    emulator = stack.enter_context(Emulator(**options))
    print(f"on the emulator at {emulator.url}: the imagery is synthetic")
    ee.Initialize(emulator.credentials, url=emulator.url, project=emulator.project)


def parse_arguments() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=25, help="points in each ecoregion")
    parser.add_argument("--out", default="naip_chips", help="the folder to fill")
    parser.add_argument("--seed", type=int, default=42, help="of the random points")
    parser.add_argument("--project", help="Google Cloud project; without it, the emulator")
    return parser.parse_args()


if __name__ == "__main__":
    main()
