"""Statistics of many regions: regions close to each other share reads, points are reduced at once.

https://developers.google.com/earth-engine/guides/reducers_reduce_regions
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import shapely

from eedask.emulator.geometry.crs import WGS84, convert
from eedask.emulator.pixels.projection import EDGE, same_crs
from eedask.emulator.pixels.raster import Band, Image, Pixels, Projection, apply
from eedask.emulator.pixels.tiling import PixelRectangle
from eedask.emulator.reducers.banded import input_groups, output_names
from eedask.emulator.reducers.reduce import Nested, Reducer, Run, plain
from eedask.emulator.regions.shared_reads import SharedReads
from eedask.emulator.regions.zones import Zone, limited, pixel_weights, reduce_zone
from eedask.emulator.values.elements import with_found
from eedask.emulator.values.value_types import Feature

# How many features are collected before their statistics are computed.
_BATCH = 128


class Batch:
    """Some features, laid on the pixels of a projection.

    Attributes
    ----------
    features : list of Feature
    points : dict of int to PixelRectangle
        The pixel of each feature that is a point, by the feature's position in ``features``.
    zones : dict of int to Zone
        The zone of each other feature that has a geometry, by its position.
    reads : SharedReads
        Reads the windows of all of them.
    """

    def __init__(self, features: list[Feature], projection: Projection) -> None:
        self.features, self._projection = features, projection
        self.points = _points(features, projection)
        self.zones = {
            k: Zone.of(f.geometry, projection)
            for k, f in enumerate(features)
            if f.geometry is not None and k not in self.points
        }
        windows = [w for zone in self.zones.values() if (w := zone.window) is not None]
        self.reads = SharedReads(projection, [*self.points.values(), *windows])

    def zone(self, number: int) -> Zone | None:
        """Return the zone of the feature at a position; None if it has no geometry."""
        if number in self.points:
            geometry = self.features[number].geometry
            assert geometry is not None  # it is a point
            return Zone.of(geometry, self._projection)
        return self.zones.get(number)


def batches(features: Iterable[Feature], projection: Projection) -> Iterator[Batch]:
    """Yield features, in their order, in batches."""
    iterator = iter(features)
    while found := list(islice(iterator, _BATCH)):
        yield Batch(found, projection)


def with_statistics(
    image: Image,
    reducer: Reducer,
    features: Iterable[Feature],
    projection: Projection,
    most: float | None,
    algorithm: str,
    tile_scale: float = 1.0,
) -> Iterator[Feature]:
    """Yield features with the outputs of a reducer over their pixels as properties.

    A feature without a geometry is yielded as it is.

    Parameters
    ----------
    image : Image
    reducer : Reducer
    features : iterable of Feature
    projection : Projection
        Its pixels are reduced.
    most : float, optional
        The most pixels that a region may have (``maxPixels``).
    algorithm : str
        The name of the Earth Engine algorithm, for error messages.
    tile_scale : float
        See :func:`~eedask.emulator.regions.zones.in_pieces`.
    """
    many = not any(isinstance(part.make(), Nested) for part in reducer.statistics)
    for batch in batches(features, projection):
        found = _at_points(image, reducer, batch, algorithm) if many else None
        for k, feature in enumerate(batch.features):
            if found is not None and k in found:
                yield with_found(feature, found[k])
                continue
            zone = batch.zone(k)
            if zone is None:
                yield feature
                continue
            zone = limited(zone, most, None, algorithm)
            statistics = reduce_zone(
                image, reducer, zone, algorithm, "output", tile_scale, batch.reads
            )
            yield with_found(feature, statistics)


def _points(features: Sequence[Feature], projection: Projection) -> dict[int, PixelRectangle]:
    """Return the pixel of each feature that is a point in EPSG:4326, by the feature's position."""
    numbers = [
        k
        for k, feature in enumerate(features)
        if (g := feature.geometry) is not None
        and g.crs == WGS84
        and not g.unbounded
        and g.shape.geom_type == "Point"
        and not g.shape.is_empty
    ]
    xy = shapely.get_coordinates([features[k].geometry.shape for k in numbers])  # type: ignore[union-attr]
    keep = np.abs(xy[:, 0]) <= 180
    numbers = [k for k, kept in zip(numbers, keep.tolist(), strict=True) if kept]
    x, y = xy[keep].T
    if numbers and not same_crs(WGS84, projection.crs):
        x, y = convert(x, y, WGS84, projection.crs)
    cols, rows = apply(~projection.transform, x, y)
    # A point on a pixel's edge belongs to the pixel to the right or below, as for any region.
    pixels = np.floor(np.column_stack([cols, rows]) + EDGE).astype(np.int64).tolist()
    return {k: (col, row, 1, 1) for k, (col, row) in zip(numbers, pixels, strict=True)}


def _at_points(
    image: Image, reducer: Reducer, batch: Batch, algorithm: str
) -> dict[int, dict[str, Any]] | None:
    """Return the statistics of a batch's points, by position; None if bands hold arrays."""
    found: dict[int, dict[str, Any]] = {k: {} for k in batch.points}
    if not found:
        return found
    names = output_names(image.band_names, reducer, "output")
    groups = list(input_groups(image.bands, reducer, algorithm))
    read = _point_pixels(batch, [band for bands in groups for band in bands])
    if read is None:
        return None
    pixels = iter(read)
    for bands, labels in zip(groups, names, strict=True):
        group = list(islice(pixels, len(bands)))
        mask = np.minimum.reduce([p.mask for p in group])
        rows = _reduced(reducer, [p.values for p in group], mask)
        for statistics, row in zip(found.values(), rows, strict=True):
            statistics.update(zip(labels, row, strict=True))
    return found


def _point_pixels(batch: Batch, bands: Sequence[Band]) -> list[Pixels] | None:
    """Return the pixels of a batch's n points, (1, n) for each band; None if pixels are arrays.

    Bands that cannot read single pixels are read group by group of points, all bands for one group
    before the next, since the bands are often computed from the same pixels.
    """
    windows = list(batch.points.values())
    groups = batch.reads.together(windows)
    found: list[list[Pixels]] = []
    shared: list[tuple[list[Pixels], Band]] = []
    for band in bands:
        alone = batch.reads.points(band, windows)
        found.append([] if alone is None else [alone])
        if alone is None:
            shared.append((found[-1], band))
    for group in groups if shared else ():
        for parts, band in shared:
            pixels = batch.reads.group(band, [windows[k] for k in group])
            if pixels.values.dtype == object:
                return None
            parts.append(pixels)
    order = np.argsort([k for group in groups for k in group])
    return [
        Pixels(*(np.concatenate(arrays, axis=1)[:, order] for arrays in zip(*parts, strict=True)))
        for parts in found
    ]


def _reduced(reducer: Reducer, columns: Sequence[Any], mask: Any) -> list[list[Any]]:
    """Return, for each of n pixels alone, the list of a reducer's outputs.

    ``columns`` (one array for each input) and ``mask`` have shape (1, n).
    """
    nothing = [plain(output) for output in Run(reducer).outputs()]
    rows = [nothing] * mask.shape[1]
    (there,) = np.nonzero(mask[0] > 0)
    if there.size:
        run = Run(reducer)
        mask = mask[:, there]
        weights = pixel_weights(mask, np.ones_like(mask))
        run.add([c[:, there] for c in columns], weights, (mask > 0) * 1.0)
        outputs = run.outputs()
        for i, k in enumerate(there.tolist()):
            rows[k] = [plain(output, i) for output in outputs]
    return rows
