"""Images whose pixels are arrays, against NumPy."""

import io
import itertools
import json

import numpy as np
import pytest
from example_raster import PROJECT, RASTER_ID
from graphs import call, encode, info_of
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pixel_images import cell, image, native, planar, run, values

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.pixels.array_values import is_ragged
from eedask.emulator.pixels.raster import PixelType
from eedask.emulator.values.info import to_info
from eedask.emulator.values.value_types import collection_of

BANDS, HEIGHT, WIDTH = 6, 3, 4
CUBE = np.random.default_rng(5).integers(-50, 50, (BANDS, HEIGHT, WIDTH)).astype(np.int16)
MASK = np.ones((HEIGHT, WIDTH), np.float32)
MASK[1, 2] = 0


def read(img, grid=None, band=0):
    """The arrays of a band: a list of rows of arrays, None where masked."""
    band = img.bands[band]
    pixels = band.read(grid or native(img))
    shape = pixels.mask.shape
    assert pixels.values.shape[:2] == shape
    cells = pixels.values.reshape(shape[0] * shape[1], *pixels.values.shape[2:])
    rows = []
    for value, mask in zip(cells, pixels.mask.ravel(), strict=True):
        if mask == 0:
            rows.append(None)
            continue
        value = np.asarray(value)
        assert value.ndim == band.type.dimensions
        assert value.dtype == band.type.dtype
        rows.append(value)
    return rows


def expect(img, function, band=0, mask=MASK):
    """Compare an image with a function of each pixel's vector of the cube's values."""
    got = read(img, band=band)
    for index, (row, col) in enumerate(itertools.product(range(HEIGHT), range(WIDTH))):
        if mask[row, col] == 0:
            assert got[index] is None
            continue
        wanted = np.asarray(function(CUBE[:, row, col].astype(np.int64)))
        assert got[index].shape == wanted.shape
        assert got[index] == pytest.approx(wanted)


def fails(function, *words):
    with pytest.raises(EarthEngineError) as caught:
        function()
    assert caught.value.code == 400
    for word in words:
        assert word in caught.value.message


def one(name, *arguments):
    return run(f"Image.{name}", *arguments)


@pytest.fixture
def source():
    return image(CUBE, mask=MASK)


@pytest.fixture
def vectors(source):
    return one("toArray", source, 0)


def shaped(vectors, *lengths):
    by = one("toArray", run("Image.constant", list(lengths)), 0)
    return one("arrayReshape", vectors, by, len(lengths))


def test_bands_become_arrays_and_bands_again(source, vectors):
    assert vectors.band_names == ["array"]
    assert vectors.bands[0].type == PixelType("int", -(2**15), 2**15 - 1, 1)
    described = to_info(vectors)["bands"][0]["data_type"]
    assert described["dimensions"] == 1
    expect(vectors, lambda v: v)
    names = [["r0", "r1"], ["a", "b", "c"]]
    flat = one("arrayFlatten", shaped(vectors, 2, 3), names, "_")
    assert flat.band_names == ["r0_a", "r0_b", "r0_c", "r1_a", "r1_b", "r1_c"]
    for i in range(BANDS):
        assert flat.bands[i].type == source.bands[i].type
        np.testing.assert_array_equal(values(flat, band=i), values(source, band=i))


def test_columns_are_vectors_with_one_more_axis(vectors):
    expect(one("toArray", vectors, 1), lambda v: v[:, None])
    expect(one("toArray", vectors, 2), lambda v: v[:, None, None])


@pytest.mark.parametrize(
    ("name", "arguments", "function"),
    [
        ("arrayTranspose", (0, 1), lambda m: m.T),
        ("matrixTranspose", (1, 0), lambda m: m.T),
        ("arrayLengths", (), lambda m: m.shape),
        ("arrayLength", (1,), lambda m: m.shape[1]),
        ("arrayDimensions", (), lambda m: 2),
        ("arrayPad", ([3, 5], 9), lambda m: np.pad(m, [(0, 1), (0, 2)], constant_values=9)),
        ("arrayPad", ([1, 1], 9), lambda m: m),
        ("arrayArgmax", (), lambda m: np.unravel_index(m.argmax(), m.shape)),
        ("arrayAccum", (1, None), lambda m: m.cumsum(axis=1)),
        ("arrayAccum", (0, run("Reducer.max")), lambda m: np.maximum.accumulate(m, axis=0)),
        ("arrayReduce", (run("Reducer.sum"), [0], None), lambda m: m.sum(axis=0)[None]),
        ("arrayReduce", (run("Reducer.mean"), [1], None), lambda m: m.mean(axis=1)[:, None]),
        ("arrayReduce", (run("Reducer.max"), [1, 0], None), lambda m: [[m.max()]]),
        ("arrayReduce", (run("Reducer.count"), [0, 1], None), lambda m: [[m.size]]),
        ("matrixFnorm", (), np.linalg.norm),
        ("matrixPseudoInverse", (), np.linalg.pinv),
        ("abs", (), np.abs),
        ("toFloat", (), lambda m: m),
    ],
)
def test_functions_of_matrices(vectors, name, arguments, function):
    result = one(name, shaped(vectors, 2, 3), *arguments)
    expect(result, lambda v: function(v.reshape(2, 3)))


def test_fields_of_reductions(vectors):
    cube = one("toArray", shaped(vectors, 2, 3), 2)
    result = one("arrayReduce", cube, run("Reducer.minMax"), [0], 2)
    expect(
        result, lambda v: np.stack([v.reshape(2, 3).min(0), v.reshape(2, 3).max(0)], axis=1)[None]
    )
    fit = one("arrayReduce", shaped(vectors, 3, 2), run("Reducer.linearFit"), [0], 1)
    expect(fit, lambda v: [np.polyfit(v.reshape(3, 2)[:, 0], v.reshape(3, 2)[:, 1], 1)])
    fails(
        lambda: read(one("arrayReduce", shaped(vectors, 2, 3), run("Reducer.linearFit"), [0], 1)),
        "field axis has length 3",
    )


@pytest.mark.parametrize(
    ("start", "end", "step", "part"),
    [
        (0, 3, 1, slice(0, 3)),
        (-3, None, 1, slice(-3, None)),
        (None, -1, 2, slice(None, -1, 2)),
        (4, 2, 1, slice(4, 2)),
        (None, None, 3, slice(None, None, 3)),
        (9, 12, 1, slice(9, 12)),
    ],
)
def test_slices(vectors, start, end, step, part):
    ends = [None if n is None else run("Image.constant", n) for n in (start, end)]
    expect(one("arraySlice", vectors, 0, *ends, step), lambda v: v[part])


def test_slices_by_pixel_are_of_several_lengths(vectors):
    lengths = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint8) % 5
    known = np.ones((HEIGHT, WIDTH), np.float32)
    known[0, 0] = 0
    end = image(lengths, mask=known)
    sliced = one("arraySlice", vectors, 0, None, end, 1)
    assert is_ragged(sliced.bands[0].read(native(sliced)).values)
    wanted = np.where(known > 0, lengths, BANDS)  # a masked end is the end of the axis
    for value, ok, n, (row, col) in zip(
        read(sliced), MASK.ravel(), wanted.ravel(), np.ndindex(HEIGHT, WIDTH), strict=True
    ):
        assert (value is None) == (ok == 0)
        if ok:
            assert value.tolist() == CUBE[:n, row, col].tolist()
    # Arithmetic and padding go on with arrays of several lengths; reading one of no elements
    # leaves a masked pixel.
    double = one("add", sliced, sliced)
    padded = one("arrayPad", double, [BANDS], 0)
    sums = values(
        one(
            "arrayGet",
            one("arrayReduce", padded, run("Reducer.sum"), [0], None),
            run("Image.constant", [0]),
        )
    )
    totals = np.array(
        [[2.0 * CUBE[: wanted[r, c], r, c].sum() for c in range(WIDTH)] for r in range(HEIGHT)]
    )
    np.testing.assert_array_equal(sums, np.where(MASK > 0, totals, np.nan))
    means = read(one("arrayReduce", sliced, run("Reducer.mean"), [0], None))
    assert [m is None for m in means] == list((MASK.ravel() == 0) | (wanted.ravel() == 0))
    fails(lambda: read(one("add", sliced, vectors)), "Array dimensions do not match")
    fails(
        lambda: one("arrayFlatten", sliced, [list("abcdef")], "_").bands[0].read(native(sliced)),
        "The labels are for arrays of shape [6]",
    )


def test_positions(vectors):
    matrix = shaped(vectors, 2, 3)
    where = image(np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint8) % 3)
    position = one("addBands", run("Image.constant", 1), where, None, False)
    got = values(one("arrayGet", matrix, position))
    wanted = [[CUBE[3 + (r * WIDTH + c) % 3, r, c] for c in range(WIDTH)] for r in range(HEIGHT)]
    np.testing.assert_array_equal(got, np.where(MASK > 0, wanted, np.nan))
    fails(lambda: one("arrayGet", matrix, run("Image.constant", 1)), "1 bands", "2 dimensions")
    fails(lambda: read(one("arrayGet", matrix, run("Image.constant", [0, 3]))), "out of bounds")


def test_joining_repeating_and_projecting(vectors):
    other = one("multiply", vectors, run("Image.constant", 2))
    expect(one("arrayCat", vectors, other, 0), lambda v: np.concatenate([v, 2 * v]))
    expect(one("arrayCat", vectors, other, 1), lambda v: np.stack([v, 2 * v], axis=1))
    twice = one("arrayRepeat", vectors, 1, run("Image.constant", 2))
    expect(twice, lambda v: np.stack([v, v], axis=1))
    expect(one("arrayRepeat", vectors, 0, run("Image.constant", 3)), lambda v: np.tile(v, 3))
    row = one("arrayTranspose", one("toArray", vectors, 1), 0, 1)
    expect(one("arrayProject", row, [1]), lambda v: v)
    fails(lambda: read(one("arrayProject", row, [0])), "length at most 1")
    fails(lambda: read(one("arrayCat", shaped(vectors, 2, 3), row, 0)), "cannot be joined")


def test_masks_and_sorting(vectors):
    positive = one("gt", vectors, run("Image.constant", 0))
    assert positive.bands[0].type == PixelType("int", 0, 1, 1)
    expect(one("arrayMask", vectors, positive), lambda v: v[v > 0])
    matrix = shaped(vectors, 2, 3)
    row = one("arraySlice", positive, 0, None, run("Image.constant", 3), 1)
    columns = one("arrayTranspose", one("toArray", row, 1), 0, 1)
    expect(one("arrayMask", matrix, columns), lambda v: v.reshape(2, 3)[:, v[:3] > 0])
    expect(one("arraySort", vectors, None), np.sort)
    keys = one("multiply", vectors, run("Image.constant", -1))
    expect(one("arraySort", vectors, keys), lambda v: v[np.argsort(-v, kind="stable")])
    by = one("toArray", one("arraySlice", vectors, 0, None, run("Image.constant", 2), 1), 1)
    expect(
        one("arraySort", matrix, by),
        lambda v: v.reshape(2, 3)[np.argsort(v[:2], kind="stable")],
    )
    fails(lambda: read(one("arraySort", matrix, None)), "one axis longer than 1")


def test_linear_algebra(vectors):
    base = one("arraySlice", vectors, 0, None, run("Image.constant", 4), 1)
    square = one(
        "add",
        shaped(base, 2, 2),
        one("multiply", one("matrixIdentity", 2), run("Image.constant", 200)),
    )

    def matrix(v):
        return v[:4].reshape(2, 2) + 200 * np.eye(2)

    right = one("toArray", one("arraySlice", vectors, 0, run("Image.constant", -2), None, 1), 1)
    expect(one("matrixMultiply", square, right), lambda v: matrix(v) @ v[-2:, None])
    expect(one("matrixSolve", square, right), lambda v: np.linalg.solve(matrix(v), v[-2:, None]))
    expect(one("matrixInverse", square), lambda v: np.linalg.inv(matrix(v)))
    expect(one("matrixDeterminant", square), lambda v: np.linalg.det(matrix(v)))
    expect(one("matrixTrace", square), lambda v: np.trace(matrix(v)))
    expect(one("matrixDiagonal", square), lambda v: np.diag(matrix(v))[:, None])
    expect(one("matrixToDiag", right), lambda v: np.diag(v[-2:]))
    expect(one("arrayDotProduct", vectors, vectors), lambda v: v @ v)
    transposed = one("matrixTranspose", square, 0, 1)
    symmetric = one("matrixMultiply", transposed, square)
    lower = one("matrixCholeskyDecomposition", symmetric)
    expect(lower, lambda v: np.linalg.cholesky(matrix(v).T @ matrix(v)))
    assert lower.band_names == ["L"]


@pytest.mark.parametrize(
    ("name", "product"),
    [
        ("matrixQRDecomposition", lambda q, r: q @ r),
        ("matrixLUDecomposition", lambda lower, upper, swap: swap.T @ lower @ upper),
        ("matrixSingularValueDecomposition", lambda u, s, v: u @ s @ v.T),
    ],
)
def test_decompositions_multiply_to_what_they_are_of(vectors, name, product):
    base = one("arraySlice", vectors, 0, None, run("Image.constant", 4), 1)
    parts = one(name, shaped(base, 2, 2))
    assert "".join(parts.band_names) in ("QR", "LUP", "USV")
    for index in range(HEIGHT * WIDTH):
        found = [read(parts, band=i)[index] for i in range(len(parts.bands))]
        if found[0] is not None:
            original = CUBE[:4].reshape(4, -1)[:, index].reshape(2, 2)
            assert product(*found) == pytest.approx(original, abs=1e-9)


def test_pixels_of_singular_matrices_are_masked():
    four = np.zeros((4, 1, 2))
    four[:, 0, 1] = [2, 0, 0, 4]
    matrices = shaped(one("toArray", image(four), 0), 2, 2)
    first, second = read(one("matrixInverse", matrices))
    assert first is None
    assert second.tolist() == [[0.5, 0], [0, 0.25]]
    first, second = read(one("matrixCholeskyDecomposition", matrices))
    assert first is None
    assert second.tolist() == [[np.sqrt(2), 0], [0, 2]]


def collection(*layers):
    return collection_of("ImageCollection", list(layers))


def series():
    """Five images of two bands, with clouds of their own."""
    generator = np.random.default_rng(8)
    cube = generator.integers(0, 100, (5, 2, HEIGHT, WIDTH)).astype(np.uint8)
    clear = (generator.random((5, HEIGHT, WIDTH)) > 0.4).astype(np.float32)
    clear[:, 0, 0] = 0
    clear[:, 0, 1] = 1
    return cube, clear, collection(*(image(c, mask=m) for c, m in zip(cube, clear, strict=True)))


def test_collections_become_matrices_of_clear_images():
    cube, clear, images = series()
    made = run("ImageCollection.toArray", images)
    assert made.band_names == ["array"]
    assert made.bands[0].type == PixelType("int", 0, 255, 2)
    found = read(made, native(image(cube[0])))
    for value, (row, col) in zip(found, np.ndindex(HEIGHT, WIDTH), strict=True):
        there = clear[:, row, col] > 0
        if not there.any():
            assert value is None
        else:
            np.testing.assert_array_equal(value, cube[there][:, :, row, col])


def test_the_greenest_clear_pixel():
    """The guide's way: sort by a band, and take the last row."""
    cube, clear, images = series()
    array = run("ImageCollection.toArray", images)
    keys = one("arraySlice", array, 1, run("Image.constant", 1), run("Image.constant", 2), 1)
    ordered = one("arraySort", array, keys)
    last = one("arraySlice", ordered, 0, run("Image.constant", -1), None, 1)
    flat = one("arrayFlatten", one("arrayProject", last, [1]), [["a", "b"]], "_")
    for band in range(2):
        got = values(flat, native(image(cube[0])), band)
        for row, col in np.ndindex(HEIGHT, WIDTH):
            there = clear[:, row, col] > 0
            pixel = cube[there][:, :, row, col]
            best = pixel[np.argsort(pixel[:, 1], kind="stable")[-1], band] if there.any() else None
            assert np.isnan(got[row, col]) if best is None else got[row, col] == best


@pytest.mark.parametrize("axis", [0, 1])
def test_bands_of_collections_become_arrays(axis):
    cube, clear, images = series()
    grid = native(image(cube[0]))
    strict = run("ImageCollection.toArrayPerBand", images, axis, False)
    loose = run("ImageCollection.toArrayPerBand", images, axis, True)
    assert strict.band_names == ["b0", "b1"]
    for value, kept, (row, col) in zip(
        read(strict, grid, 1), read(loose, grid, 1), np.ndindex(HEIGHT, WIDTH), strict=True
    ):
        there = clear[:, row, col] > 0
        layers = cube[:, 1, row, col]
        shape = (-1,) if axis == 0 else (1, -1)
        if there.all():
            np.testing.assert_array_equal(value, layers.reshape(shape))
        else:
            assert value is None
        if there.any():
            np.testing.assert_array_equal(kept, layers[there].reshape(shape))
        else:
            assert kept is None


def test_images_of_a_collection_must_have_the_same_bands():
    other = one("rename", image(np.zeros((1, HEIGHT, WIDTH))), ["x"])
    made = run("ImageCollection.toArray", collection(image(CUBE[:1]), other))
    fails(lambda: read(made, native(other)), "same bands")
    fails(lambda: run("ImageCollection.toArray", collection()), "empty")


@settings(deadline=None)
@given(
    hnp.arrays(np.int32, (2, 3), elements=st.integers(-(2**31), 2**31 - 1)),
)
def test_bits(numbers):
    for value, number in zip(
        read(one("bitsToArrayImage", image(numbers))), numbers.ravel().tolist(), strict=True
    ):
        bits = f"{number % 2**64:b}"[::-1]
        assert value.tolist() == [int(b) for b in bits]


def test_constants_of_arrays():
    made = run("Image.constant", np.array([[1.5, 2], [3, 4]]))
    grid = native(image(CUBE))
    assert all(v.tolist() == [[1.5, 2], [3, 4]] for v in read(made, grid))
    # What is the same everywhere is computed once, and takes the room of one pixel.
    doubled = one("add", made, made).bands[0].read(grid)
    assert doubled.values.strides[:2] == (0, 0)
    assert doubled.values[2, 3].tolist() == [[3, 4], [6, 8]]
    item = call("Image.constant", value=call("Array", values=[[1, 2]]))
    kind = info_of(item)["bands"][0]["data_type"]
    assert (kind["dimensions"], kind["min"], kind["max"]) == (2, 1, 2)


SMALL = hnp.arrays(
    np.int64,
    hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3),
    elements=st.integers(-3, 3),
)


def outcome(function):
    try:
        return np.asarray(function())
    except EarthEngineError:
        return None


@pytest.mark.parametrize("ragged", [False, True])
@settings(max_examples=20, deadline=None)
@given(array=SMALL, other=SMALL, axis=st.integers(0, 2), number=st.integers(-3, 4))
def test_arrays_in_pixels_do_as_arrays_do(ragged, array, other, axis, number):
    """Image.array* against Array.*, of one array everywhere or of another shape elsewhere."""
    grid = native(image(CUBE[:1, :1, :2]))

    def pixels(value):
        here = run("Image.constant", value)
        if not ragged:
            return here
        there = run("Image.constant", np.concatenate([value, value]))
        right = image(np.array([[0, 1]], np.uint8))
        return run("ImageCollection.mosaic", collection(here, one("updateMask", there, right)))

    def check(name, *arguments, of=None):
        alone = outcome(lambda: run(f"Array.{of or name}", array, *arguments))
        given_ = [pixels(a) if isinstance(a, np.ndarray) else a for a in arguments]
        if not ragged:
            found = outcome(
                lambda: read(one(f"array{name.title()}", pixels(array), *given_), grid)[0]
            )
        else:
            found = outcome(lambda: first_of(f"array{name.title()}", given_))
            if found is None:
                return  # the other pixel may fail
        assert (alone is None) == (found is None)
        if found is not None:
            assert found.shape == alone.shape
            assert found == pytest.approx(alone)

    def first_of(name, given_):
        left = image(np.array([[1, 0]], np.uint8))
        masked = one("updateMask", one(name, pixels(array), *given_), left)
        return read(masked, grid)[0]

    check("accum", axis, None)
    check("argmax")
    check("pad", [number, axis + 1], 7)
    check("project", [axis])
    check("transpose", 0, axis)
    check("mask", other)
    check("sort", other)
    check("sort", None)
    check("reduce", run("Reducer.sum"), [axis], None)
    check("reduce", run("Reducer.median"), [0], None)


def test_mosaics_and_masks_of_arrays(vectors):
    grid = native(image(CUBE))
    short = one("arraySlice", vectors, 0, None, run("Image.constant", 2), 1)
    left = image((np.arange(WIDTH) < 2).astype(np.uint8)[None].repeat(HEIGHT, 0))
    top = one("updateMask", short, left)
    laid = run("ImageCollection.mosaic", collection(vectors, top))
    for value, (row, col) in zip(read(laid, grid), np.ndindex(HEIGHT, WIDTH), strict=True):
        n = 2 if col < 2 else BANDS
        if MASK[row, col] == 0:
            assert value is None
        else:
            assert value.tolist() == CUBE[:n, row, col].tolist()
    # Read from another grid, they are picked by the nearest pixel.
    moved = one("reproject", vectors, vectors.bands[0].projection, None, 20)
    coarse = native(moved, 2, 2)
    assert len(read(moved, coarse)) == 4
    fails(lambda: read(one("updateMask", image(CUBE), vectors)), "arrayMask")


def test_samples_and_regions_of_arrays(vectors):
    region = planar(cell(0, 0, WIDTH, HEIGHT))
    sampled = list(run("Image.sample", vectors, region).elements())
    clear = [CUBE[:, r, c].tolist() for r, c in np.ndindex(HEIGHT, WIDTH) if MASK[r, c]]
    assert [to_info(f.properties["array"]) for f in sampled] == clear
    listed = run("Image.reduceRegion", vectors, run("Reducer.toList"), region)
    assert to_info(listed) == {"array": clear}
    first = run("Image.reduceRegion", vectors, run("Reducer.first"), region)
    assert to_info(first) == {"array": clear[0]}
    fails(lambda: run("Image.reduceRegion", vectors, run("Reducer.mean"), region), "arrays")


def test_rectangles_of_arrays(vectors):
    region = planar(cell(0, 0, WIDTH, HEIGHT))
    filled = run("Image.sampleRectangle", vectors, region, None, None, np.full(BANDS, -9))
    wanted = np.where(MASK > 0, CUBE, -9).transpose(1, 2, 0)
    np.testing.assert_array_equal(filled.properties["array"], wanted)
    clear = run("Image.sampleRectangle", vectors, planar(cell(0, 0, 2, 1)))
    np.testing.assert_array_equal(clear.properties["array"], wanted[:1, :2])
    fails(lambda: run("Image.sampleRectangle", vectors, region, None, 0.0), "no default value")
    short = np.zeros(2)
    fails(lambda: run("Image.sampleRectangle", vectors, region, None, None, short), "shape [6]")
    fails(lambda: run("Image.stratifiedSample", vectors, 1, None, region), "must have numbers")


def test_algorithms_of_numbers_refuse_arrays():
    arrays = call("Image.toArray", image=call("Image.constant", value=[1, 2]))
    for item in (
        call("Image.normalizedDifference", input=arrays),
        call("Image.remap", image=arrays, **{"from": [1], "to": [2]}),
        call("Terrain.slope", input=arrays),
    ):
        fails(lambda item=item: info_of(item), "'array' has pixels of arrays")
    fails(
        lambda: info_of(call("Image.arrayLength", input=call("Image.constant", value=1), axis=0)),
        "must have arrays",
    )


def test_rendering_arrays(core):
    def compute(node, file_format):
        grid = {"dimensions": {"width": 2, "height": 2}, "crsCode": "EPSG:32613"}
        grid["affineTransform"] = {
            "scaleX": 10, "translateX": 500000, "scaleY": -10, "translateY": 4400000
        }  # fmt: skip
        body = {"expression": encode(node), "fileFormat": file_format, "grid": grid}
        path = f"/v1/projects/{PROJECT}/image:computePixels"
        return core.answer("POST", path, {}, json.dumps(body).encode())

    arrays = call("Image.toArray", image=call("Image.load", id=RASTER_ID))
    for file_format in ("NPY", "PNG", "GEO_TIFF"):
        answer = compute(arrays, file_format)
        assert answer.status == 400
        assert "pixels of arrays" in json.loads(answer.body)["error"]["message"]
    flat = call("Image.arrayFlatten", image=arrays, coordinateLabels=[["r", "g", "b"]])
    plain = compute(call("Image.load", id=RASTER_ID), "NPY")
    again = np.load(io.BytesIO(compute(flat, "NPY").body))
    original = np.load(io.BytesIO(plain.body))
    for name, band in zip("rgb", ("red", "green", "blue"), strict=True):
        np.testing.assert_array_equal(again[name], original[band])
    # A picture of arrays shows what they begin with.
    shown = compute(call("Image.visualize", image=arrays, min=0, max=255), "NPY")
    gray = np.load(io.BytesIO(shown.body))["vis-gray"]
    np.testing.assert_array_equal(gray, np.clip(original["red"], 0, 255))
