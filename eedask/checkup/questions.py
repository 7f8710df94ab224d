"""What Earth Engine's documentation leaves open, each asked in one small request or two.

Each question has the name of the emulator's reading (``python -m eedask.emulator --help``), so
that what the live service answers can be set there.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from eedask.checkup.asking import Answer, Asker, UnexpectedAnswerError
from eedask.earthengine.nodes import Node, argument, call, constant, listed, mapped
from eedask.errors import TransientError
from eedask.pixels.formats.geotiff_tags import tags_of

_NODATA_TAG = 42113
# Of a PNG: the byte of the header that says what a pixel is made of, and its value for RGBA.
_PNG_COLOUR, _RGBA = 25, 6
_ODD_NAME = "an odd name"
_COUNT, _PAGE = 20, 9


@dataclass(frozen=True)
class Question:
    """One thing that only the live service can tell.

    Attributes
    ----------
    name : str
    about : str
        What is asked, in a few words.
    assumes : str
        What eedask relies on.
    ask : callable
        From an asker to the answer in one word. It raises
        :class:`~eedask.checkup.asking.UnexpectedAnswerError` for what is none.
    costly : bool
        Whether it is asked only on demand, as it spends quota.
    """

    name: str
    about: str
    assumes: str
    ask: Callable[[Asker], str]
    costly: bool = False


def _image(value: float) -> Node:
    return call("Image.constant", value=constant(value))


def _east_of(degrees: float) -> Node:
    """Return an image that is 1 east of a longitude, and 0 elsewhere."""
    lonlat = call("Image.pixelLonLat")
    east = call("Image.select", input=lonlat, bandSelectors=constant(["longitude"]))
    return call("Image.gt", image1=east, image2=_image(degrees))


def _half(value: float) -> Node:
    """Return an image of uint16 that is masked west of 3 degrees."""
    whole = call("Image.toUint16", value=_image(value))
    return call("Image.updateMask", image=whole, mask=_east_of(3))


def _feature(properties: dict[str, object], place: Node | None = None) -> Node:
    about = mapped({name: constant(value) for name, value in properties.items()})
    return call("Feature", geometry=place or constant(None), metadata=about)


def _collection(*features: Node) -> Node:
    return call("Collection", features=listed(features))


def _square() -> Node:
    ring = [[0, 0], [5, 0], [5, 5], [0, 5], [0, 0]]
    return call("GeometryConstructors.Polygon", coordinates=constant([ring]))


def _many() -> Node:
    return _collection(*(_feature({"k": k}) for k in range(_COUNT)))


def _null_properties(asker: Asker) -> str:
    copied = call(
        "Element.copyProperties",
        destination=_feature({"a": 1}),
        source=_feature({"b": 2}),
        properties=constant(["b", "missing"]),
    )
    kept = "missing" in asker.value(copied).json()["result"]["properties"]
    return "kept" if kept else "dropped"


def _capacity(asker: Asker) -> str:
    ring = [[-179, -80], [179, -80], [179, 80], [-179, 80], [-179, -80]]
    world = call(
        "GeometryConstructors.Polygon", coordinates=constant([ring]), geodesic=constant(False)
    )
    heavy = call(
        "Image.reduceRegion",
        image=_image(1),
        reducer=call("Reducer.sum"),
        geometry=world,
        scale=constant(1),
        maxPixels=constant(1e16),
    )
    try:
        answer = asker.value(heavy)
    except TransientError as error:
        if error.cause == "time":
            return "silence"
        raise
    if answer.status not in (400, 503, 504):
        raise UnexpectedAnswerError(str(answer))
    return str(answer.status)


def _argument_names(asker: Asker) -> str:
    added = call("Number.add", left=argument(_ODD_NAME), right=constant(1))
    function = {"functionDefinitionValue": {"argumentNames": [_ODD_NAME], "body": "body"}}
    mapping = call("List.map", list=constant([1, 2]), baseAlgorithm=function)
    expression = {"result": "0", "values": {"0": mapping, "body": added}}
    return _taken(asker.post("value:compute", {"expression": expression}), "any", "identifiers")


def _taken(answer: Answer, taken: str, refused: str) -> str:
    """Return one word for status 200 and another for 400."""
    if answer.status == 400:
        return refused
    answer.content()
    return taken


def _crs_code(asker: Asker) -> str:
    return _taken(asker.value(call("Projection", crs=constant("ESRI:54009"))), "any", "epsg")


def _geotiff_nodata(asker: Asker) -> str:
    whole = call("Image.toUint16", value=_image(7))
    stated = [
        _NODATA_TAG in tags_of(asker.pixels(image, "GEO_TIFF").content())
        for image in (whole, _half(7))
    ]
    if stated == [True, False]:
        raise UnexpectedAnswerError("stated only where nothing is masked")
    return "never" if not stated[1] else "always" if stated[0] else "where_masked"


def _npy_masked(asker: Asker) -> str:
    array = np.load(io.BytesIO(asker.pixels(_half(7), "NPY").content()))
    return "any" if array[array.dtype.names[0]][:, :3].any() else "zero"


def _picture_bands(asker: Asker) -> str:
    wide = call("Image.toUint16", value=_image(1000))
    return _taken(asker.pixels(wide, "PNG"), "clipped", "refused")


def _feature_members(asker: Asker) -> str:
    (bare,) = asker.value(_collection(_feature({}))).json()["result"]["features"]
    return "null" if "geometry" in bare else "absent"


def _percentiles(asker: Asker) -> str:
    # One fifth of the square is 0; the rest is 1, and counts for a hundredth.
    east = _east_of(1)
    faint = call(
        "Image.updateMask",
        image=east,
        mask=call(
            "Image.subtract",
            image1=_image(1),
            image2=call("Image.multiply", image1=east, image2=_image(0.99)),
        ),
    )
    median = call(
        "Image.reduceRegion",
        image=faint,
        reducer=call("Reducer.median"),
        geometry=_square(),
        scale=constant(25000),
        crs=call("Projection", crs=constant("EPSG:4326")),
    )
    (value,) = asker.value(median).json()["result"].values()
    return "weighted" if value < 0.5 else "unweighted"


def _png_alpha(asker: Asker) -> str:
    body = asker.pixels(call("Image.toUint8", value=_image(7)), "PNG").content()
    return "always" if body[_PNG_COLOUR] == _RGBA else "where_masked"


def _feature_order(asker: Asker) -> str:
    # Over pages, as those may be short.
    found: list[int] = []
    more: dict[str, str] = {}
    while True:
        page = asker.features(_many(), **more).json()
        found += [feature["properties"]["k"] for feature in page.get("features", [])]
        if not (token := page.get("nextPageToken")):
            break
        more = {"pageToken": token}
    if sorted(found) != list(range(_COUNT)):
        raise UnexpectedAnswerError(f"of {_COUNT} features there came {found}")
    return "as_sent" if found == sorted(found) else "any"


def _extra_properties(asker: Asker) -> str:
    (one,) = asker.value(_collection(_feature({"a": 1}))).json()["result"]["features"]
    extra = one["properties"].keys() - {"a"} or one.keys() - _GEOJSON
    return "some" if extra else "none"


_GEOJSON = {"type", "id", "geometry", "properties"}


def _region_outputs(asker: Asker) -> str:
    both = call(
        "Reducer.combine",
        reducer1=call("Reducer.mean"),
        reducer2=call("Reducer.max"),
        sharedInputs=constant(True),
    )
    reduced = call(
        "Image.reduceRegions",
        image=_image(1),
        collection=_collection(_feature({}, _square())),
        reducer=both,
        scale=constant(100000),
    )
    (one,) = asker.value(reduced).json()["result"]["features"]
    names = one["properties"].keys()
    if "mean" in names:
        return "output"
    if "constant_mean" in names:
        return "band_output"
    raise UnexpectedAnswerError(f"properties {sorted(names)}")


def _pages(asker: Asker) -> str:
    page = asker.features(_many(), pageSize=_PAGE).json()
    return "full" if len(page.get("features", [])) == _PAGE else "short"


def _result(answer: Answer) -> str:
    """Return the text of an answer's one result."""
    found = re.fullmatch(
        r'\s*{\s*"result"\s*:\s*(.*?)\s*}\s*', answer.content().decode(), re.DOTALL
    )
    if found is None:
        raise UnexpectedAnswerError(answer.text[:160])
    return found[1]


def _non_finite(asker: Asker) -> str:
    return _word(
        _result(asker.value(call("Number.sqrt", input=constant(-1)))),
        {'"NaN"': "strings", "NaN": "bare", "null": "null"},
    )


def _whole_numbers(asker: Asker) -> str:
    seven = call("Number.multiply", left=constant(3.5), right=constant(2))
    return _word(_result(asker.value(seven)), {"7": "integers", "7.0": "doubles"})


def _word(text: str, words: dict[str, str]) -> str:
    if text not in words:
        raise UnexpectedAnswerError(text[:160])
    return words[text]


def _error_texts(asker: Asker) -> str:
    missing = f"projects/earthengine-public/assets/{'eedask-asks-for-what-is-not-there-' * 3}"
    answer = asker.value(call("Image.load", id=constant(missing)))
    if answer.status == 200:
        raise UnexpectedAnswerError("an image that is not there was computed")
    message = json.loads(answer.body)["error"]["message"]
    plain = not message.startswith("Earth Engine Error") and "\n" not in message
    return "plain" if plain and "request id" not in message.lower() else "decorated"


def _retry_after(asker: Asker) -> str:
    square = call("Number.multiply", left=constant(2), right=constant(2))
    for answer in asker.burst(square):
        if answer.status in (429, 503):
            when = answer.headers.get("retry-after")
            return "none" if when is None else "seconds" if when.isdigit() else "date"
    raise UnexpectedAnswerError("no request of a burst was refused")


def _keep_alive(asker: Asker) -> str:
    closed = asker.config().headers.get("connection", "").lower() == "close"
    return "closed" if closed else "kept"


def _gzip(asker: Asker) -> str:
    long = constant("x" * 5000)
    answer = asker.value(long, {"User-Agent": "eedask"})
    if answer.headers.get("content-encoding") == "gzip":
        chunked = answer.headers.get("transfer-encoding") == "chunked"
        return "chunked" if chunked else "used"
    if asker.value(long).headers.get("content-encoding") == "gzip":
        return "user_agent"
    raise UnexpectedAnswerError("nothing is compressed")


QUESTIONS = (
    Question("null_properties", "Properties that are missing or null", "either", _null_properties),
    Question("capacity", "How a request that is too heavy ends", "any of them", _capacity, True),
    Question("argument_names", "Names of functions' arguments", "identifiers", _argument_names),
    Question("crs_code", "Codes of a crs that is not EPSG's", "epsg: else WKT", _crs_code),
    Question("geotiff_nodata", "GeoTIFFs that state nodata", "any of them", _geotiff_nodata),
    Question("npy_masked", "Masked pixels of NPY files", "any value", _npy_masked),
    Question("picture_bands", "Pictures of bands not 8-bit", "either", _picture_bands),
    Question("feature_members", "Features without geometry", "either", _feature_members),
    Question("percentiles", "Medians weigh pixels", "either", _percentiles),
    Question("png_alpha", "Alpha of opaque PNGs", "either", _png_alpha),
    Question("feature_order", "Order of features", "any", _feature_order),
    Question("extra_properties", "Properties nobody asked for", "either", _extra_properties),
    Question("region_outputs", "Names of reduceRegions' outputs", "either", _region_outputs),
    Question("pages", "Pages of features", "either", _pages),
    Question("non_finite", "NaN in JSON", "any of them", _non_finite),
    Question("whole_numbers", "Doubles without a fraction", "either", _whole_numbers),
    Question("error_texts", "Words of errors", "either", _error_texts),
    Question("retry_after", "Retry-After of refusals", "any of them", _retry_after, True),
    Question("keep_alive", "Connections after an answer", "either", _keep_alive),
    Question("gzip", "Compression of answers", "any of them", _gzip),
)
"""All that is asked, under the names of the emulator's readings."""
