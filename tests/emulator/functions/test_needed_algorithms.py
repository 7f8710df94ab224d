"""What scripts that sample, and packages that download, call of the server: all of it is there.

They are those of published sampling scripts, of usual sampling, and of the basic downloads of
geedim, Xee, cubexpress and geemap. Each line has a class and its algorithms; ``-`` is the class
by itself.
"""

import re

import pytest

import eedask.emulator.functions  # noqa: F401  (registers the algorithms)
from eedask.emulator.expression.signatures import signature
from eedask.emulator.functions.registry import IMPLEMENTATIONS

NEEDED = """
AggregateFeatureCollection: array histogram mean stats sum
Collection: - distinct filter first flatten geometry limit loadTable map randomColumn
  reduceColumns reduceToImage size toList union
Date: - advance difference format getRange millis
DateRange: -
Dictionary: combine get getNumber
Element: geometry get propertyNames set toDictionary
ErrorMargin: -
Feature: - area buffer select
FeatureCollection: randomPoints
Filter: and calendarRange dateRangeContains equals greaterThan intersects lessThan listContains
  not notNull or stringContains
Geometry: area bounds buffer centroid coordinates coveringGrid intersection simplify transform
GeometryConstructors: Point Polygon Rectangle
If: -
Image: abs add addBands and bandNames bandTypes bitwiseAnd bitwiseOr byte clamp clip
  clipToBoundsAndScale clipToCollection constant copyProperties date divide eq exp float
  focal_mean geometry gt gte id int leftShift linkCollection load loadGeoTIFF log lt lte mask
  mod multiply neq normalizedDifference not or paint parseExpression pixelArea pixelLonLat pow
  projection random reduceRegion reduceRegions reduceResolution remap rename reproject resample
  rightShift sample sampleRectangle sampleRegions select selfMask setDefaultProjection sqrt
  stratifiedSample subtract toByte toDouble toFloat toInt toInt16 toUint16 toUint8 unitScale
  unmask updateMask visualize where
ImageCollection: fromImages getRegion load merge mosaic qualityMosaic reduce toBands
Join: apply saveFirst
List: get map sequence
Number: add format
Projection: - atScale crs nominalScale transform
Reducer: allNonZero anyNonZero combine count countDistinct first firstNonNull fixedHistogram
  forEach frequencyHistogram group histogram last lastNonNull max mean median min minMax mode
  percentile product repeat setOutputs stdDev sum toList unweighted variance
Terrain: aspect hillshade slope
reduce: count max mean median min sum
"""


def names():
    for line in re.sub(r"\n  ", " ", NEEDED).strip().splitlines():
        owner, _, members = line.partition(": ")
        for member in members.split():
            yield owner if member == "-" else f"{owner}.{member}"


def test_there_are_two_hundred():
    assert len(set(names())) == 200


@pytest.mark.parametrize("name", sorted(names()))
def test_an_algorithm_is_implemented_under_the_clients_signature(name):
    assert name in IMPLEMENTATIONS
    assert signature(name).name == name
