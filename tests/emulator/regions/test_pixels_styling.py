"""Pictures of features, by the areas that they colour."""

import numpy as np
import pytest
import shapely
from affine import Affine
from pixel_images import UTM, cell, planar, run

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.pixels.raster import Grid
from eedask.emulator.regions import styling
from eedask.emulator.values.value_types import Feature, collection_of

GRID = Grid(UTM, Affine(10, 0, 500000, 0, -10, 4400000), 40, 30)


def features(*shapes, **properties):
    return collection_of(
        "FeatureCollection", [Feature(planar(shape), properties) for shape in shapes]
    )


def style(collection, grid=GRID, **options):
    names = {
        "color": "black", "size": 3, "shape": "circle", "width": 2.0, "fill": None,
        "field": None, "neighbourhood": 5, "line": "solid",
    }  # fmt: skip
    return pixels(run("Collection.style", collection, *{**names, **options}.values()), grid)


def pixels(image, grid=GRID):
    """Colours of shape (3, height, width) and the opacity."""
    assert image.band_names == ["vis-red", "vis-green", "vis-blue"]
    found = [band.read(grid) for band in image.bands]
    return np.stack([p.values for p in found]), found[0].mask


def test_fill_and_outline():
    box = cell(10.5, 10, 12, 8)
    colours, opacity = style(features(box), color="red", fill="0000ff80", width=2)
    assert opacity[14, 16] == pytest.approx(128 / 255)
    assert colours[:, 14, 16].tolist() == [0, 0, 255]
    assert opacity[14, 10] == pytest.approx(1)  # a line two pixels wide about column 10.5
    assert colours[:, 14, 10].tolist() == [255, 0, 0]
    assert opacity[14, 9] == pytest.approx(0.5)
    assert opacity[20, 20] == 0
    _, solid = style(features(box), fill="00f", width=0)
    assert solid.sum() == pytest.approx(96, rel=1e-5)
    _, soft = style(features(box), color="008000", width=0)
    assert soft.sum() == pytest.approx(96 * 0.66, rel=1e-5)


def test_lines_by_their_area():
    line = shapely.LineString([(500050, 4399950), (500250, 4399750)])
    for width in (1.0, 3.0):
        _, opacity = style(features(line), width=width)
        wanted = line.buffer(width * 5).area / 100
        assert opacity.sum() == pytest.approx(wanted, rel=1e-4)
    whole = style(features(line), width=1.0)[1].sum()
    for kind, share in (("dashed", 0.5), ("dotted", 0.25)):
        assert whole * share < style(features(line), width=1.0, line=kind)[1].sum() < whole * 0.9


@pytest.mark.parametrize(
    ("shape", "share"),
    [
        ("circle", np.pi / 4),
        ("square", 0.5),
        ("d", 0.5),
        ("pentagon", 5 / 8 * np.sin(np.radians(72))),
        ("hexagon", 3 * 3**0.5 / 8),
        ("^", 3 * 3**0.5 / 16),
        ("triangle_left", 3 * 3**0.5 / 16),
        ("star5", 5 * np.sin(np.radians(36)) * 0.4 / 4),
        ("h", 6 * np.sin(np.radians(30)) * 0.4 / 4),
    ],
)
def test_markers_by_their_area(shape, share):
    point = features(shapely.Point(500205, 4399855))
    _, opacity = style(point, shape=shape, size=20, width=0.0, fill="f00")
    assert opacity.sum() == pytest.approx(400 * share, rel=0.01)
    rows, cols = np.nonzero(opacity)
    assert abs(np.average(cols, weights=opacity[rows, cols]) - 20) < 2
    assert abs(np.average(rows, weights=opacity[rows, cols]) - 14) < 2


def test_strokes_as_markers():
    point = features(shapely.Point(500205, 4399855))
    _, plus = style(point, shape="+", size=12, width=1.0)
    _, cross = style(point, shape="x", size=12, width=1.0)
    assert plus.sum() == pytest.approx(cross.sum(), rel=0.02)
    assert plus[14, 16] > 0.9
    assert cross[14, 16] == 0


def test_styles_of_features_and_order():
    below = Feature(planar(cell(5, 5, 10, 10)), {"s": {"fillColor": "red", "width": 0}})
    above = Feature(planar(cell(10, 10, 10, 10)), {"s": {"fillColor": "0000ff", "width": 0}})
    plain = Feature(planar(cell(30, 5, 4, 4)), {})
    collection = collection_of("FeatureCollection", [below, above, plain])
    colours, opacity = style(collection, fill="0f0", width=0, field="s")
    assert colours[:, 7, 7].tolist() == [255, 0, 0]
    assert colours[:, 12, 12].tolist() == [0, 0, 255]
    assert colours[:, 7, 32].tolist() == [0, 255, 0]
    assert opacity[7, 7] == opacity[12, 12] == 1
    upside_down = Grid(UTM, Affine(10, 0, 500000, 0, 10, 4399700), 40, 30)
    turned, _ = style(collection, upside_down, fill="0f0", width=0, field="s")
    assert (turned == colours[:, ::-1]).all()


def test_draw():
    box, point = cell(5, 5, 10, 10), shapely.Point(500305, 4399855)
    colours, opacity = pixels(run("Collection.draw", features(box, point), "006600", 4, 2))
    assert colours[:, 10, 10].tolist() == [0, 102, 0]
    assert opacity[10, 10] == pytest.approx(styling.FILL_OPACITY)
    assert opacity[10, 5] == pytest.approx(1)
    assert opacity[14, 34] > 0.5
    assert opacity[14, 37] == 0


def test_what_is_no_style():
    box = features(cell(5, 5, 10, 10), s=3)
    with pytest.raises(EarthEngineError, match="Invalid color 'nothing'"):
        style(box, color="nothing")
    with pytest.raises(EarthEngineError, match="point shape 'blob'"):
        style(box, shape="blob")
    with pytest.raises(EarthEngineError, match="line type"):
        style(box, line="wavy")
    with pytest.raises(EarthEngineError, match="must be a dictionary"):
        style(box, field="s")


def test_paint_widths_by_property():
    box = features(cell(10, 10, 12, 8), w=1)
    plain = run("Image.constant", 0)
    one = run("Image.paint", plain, box, 5, "w").bands[0].read(GRID).values
    same = run("Image.paint", plain, box, 5, 1).bands[0].read(GRID).values
    assert (one == same).all()
    assert (one == 5).any()
    none = run("Image.paint", plain, box, 5, "x").bands[0].read(GRID).values
    assert not none.any()
