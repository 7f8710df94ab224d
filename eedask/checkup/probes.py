"""Small requests that find out what Earth Engine does where its documentation does not say.

Each function asks one question and returns the answer as one of the alternatives that
:mod:`eedask.checkup.questions` lists. For any other answer it raises
:class:`~eedask.checkup.asking.UnexpectedAnswerError`, or whatever error reading the answer raises.
"""

from __future__ import annotations

import io
import json
import re

import numpy as np

from eedask.checkup.asking import Answer, Asker, UnexpectedAnswerError, shown
from eedask.earthengine.connection import PROFILE
from eedask.earthengine.nodes import Graph, Node, argument, call, constant, listed, mapped
from eedask.earthengine.profiles import costs_of
from eedask.errors import TransientError
from eedask.pixels.formats.geotiff_tags import tags_of

_NODATA_TAG = 42113
_PNG = b"\x89PNG\r\n\x1a\n"
# In a PNG: the position of the byte that states the colour type, and its value for RGBA.
_PNG_COLOUR, _RGBA = 25, 6
_ODD_NAME = "an odd name"
_COUNT, _PAGE = 20, 9
_MEMBERS = {"type", "id", "geometry", "properties"}
# An array of so many rows and columns of 8 bytes takes 72 MB; copies of it take 72 GB.
_SIDE, _COPIES = 3000, 1000


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


def null_properties(asker: Asker) -> str:
    """Ask whether copying a property that is missing gives a null property, or none."""
    copied = call(
        "Element.copyProperties",
        destination=_feature({"a": 1}),
        source=_feature({"b": 2}),
        properties=constant(["b", "missing"]),
    )
    kept = "missing" in asker.value(copied).json()["result"]["properties"]
    return "kept" if kept else "dropped"


def capacity(asker: Asker) -> str:
    """Ask how a request ends that needs more memory than any request may use."""
    array = call("Array.identity", size=constant(_SIDE))
    heavy = call("Array.repeat", array=array, axis=constant(0), copies=constant(_COPIES))
    try:
        answer = asker.value(call("Array.length", array=heavy))
    except TransientError as error:
        if error.cause == "time":
            return "silence"
        raise
    # An error 400 with other words is about the request itself, not about what it needs.
    is_lack = re.search("memory|capacity|timed out|deadline", answer.words, re.IGNORECASE)
    if answer.status not in (400, 503, 504) or not is_lack:
        raise UnexpectedAnswerError(str(answer))
    return str(answer.status)


def argument_names(asker: Asker) -> str:
    """Ask whether the argument of a mapped function may have a name with spaces."""
    graph = Graph()
    added = call("Number.add", left=argument(_ODD_NAME), right=constant(1))
    function = graph.function([_ODD_NAME], added)
    expression = graph.encode(call("List.map", list=constant([1, 2]), baseAlgorithm=function))
    answer = asker.post("value:compute", {"expression": expression})
    return _taken(answer, "any", "identifiers", f"argument|identifier|{_ODD_NAME}")


def _taken(answer: Answer, taken: str, refused: str, about: str) -> str:
    """Return ``taken`` for status 200, and ``refused`` for an error 400 that matches ``about``."""
    if answer.status == 400 and re.search(about, answer.words, re.IGNORECASE):
        return refused
    answer.content()
    return taken


def crs_code(asker: Asker) -> str:
    """Ask whether pixels can be had in a crs with a code of another authority than EPSG."""
    return _taken(asker.pixels(_image(1), "NPY", "ESRI:54009"), "any", "epsg", "crs|ESRI")


def geotiff_nodata(asker: Asker) -> str:
    """Ask whether a GeoTIFF states nodata: if it has masked pixels, always, or never."""
    whole = call("Image.toUint16", value=_image(7))
    stated = [
        _NODATA_TAG in tags_of(asker.pixels(image, "GEO_TIFF").content())
        for image in (whole, _half(7))
    ]
    if stated == [True, False]:
        raise UnexpectedAnswerError("stated only where nothing is masked")
    return "never" if not stated[1] else "always" if stated[0] else "where_masked"


def geotiff_types(asker: Asker) -> str:
    """Ask whether a GeoTIFF of a band of bytes and one of floats is refused, or given one type."""
    byte, real = call("Image.toUint8", value=_image(7)), call("Image.toFloat", value=_image(0.5))
    both = call("Image.addBands", dstImg=byte, srcImg=real)
    return _taken(asker.pixels(both, "GEO_TIFF"), "promoted", "refused", "type")


def npy_masked(asker: Asker) -> str:
    """Ask whether masked pixels of an NPY file are 0."""
    array = np.load(io.BytesIO(asker.pixels(_half(7), "NPY").content()))
    return "any" if array[array.dtype.names[0]][:, :3].any() else "zero"


def picture_bands(asker: Asker) -> str:
    """Ask whether a PNG of a band of uint16 is refused, or its values are cut to 8 bits."""
    wide = call("Image.toUint16", value=_image(1000))
    about = "type|byte|8.bit|uint|visuali[sz]|range"
    return _taken(asker.pixels(wide, "PNG"), "clipped", "refused", about)


def feature_members(asker: Asker) -> str:
    """Ask whether a feature without geometry has the member ``geometry``, as null, or lacks it."""
    (bare,) = asker.value(_collection(_feature({}))).json()["result"]["features"]
    return "null" if "geometry" in bare else "absent"


def percentiles(asker: Asker) -> str:
    """Ask whether pixels count by their masks in a median: it is 0 if they do, and else 1."""
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


def png_alpha(asker: Asker) -> str:
    """Ask whether a PNG without masked pixels has alpha."""
    body = asker.pixels(call("Image.toUint8", value=_image(7)), "PNG").content()
    if not body.startswith(_PNG):
        raise UnexpectedAnswerError(f"a file that begins with {body[:8]!r}")
    return "always" if body[_PNG_COLOUR] == _RGBA else "where_masked"


def feature_order(asker: Asker) -> str:
    """Ask whether features come back in the order of the collection.

    All pages are read, as a page may have fewer features than were asked for.
    """
    found: list[int] = []
    token: dict[str, str] | None = {}
    while token is not None:
        page = asker.features(_many(), **token).json()
        found += [feature["properties"]["k"] for feature in page.get("features", [])]
        token = {"pageToken": page["nextPageToken"]} if page.get("nextPageToken") else None
        if len(found) > _COUNT:
            break
    if sorted(found) != list(range(_COUNT)):
        raise UnexpectedAnswerError(f"of {_COUNT} features there came {found}")
    return "as_sent" if found == sorted(found) else "any"


def extra_properties(asker: Asker) -> str:
    """Ask whether a feature comes back with properties or members that it was not given."""
    (one,) = asker.value(_collection(_feature({"a": 1}))).json()["result"]["features"]
    extra = one["properties"].keys() - {"a"} or one.keys() - _MEMBERS
    return "some" if extra else "none"


def region_outputs(asker: Asker) -> str:
    """Ask what reduceRegions calls the values of two combined reducers of one band."""
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


def pages(asker: Asker) -> str:
    """Ask whether a page has as many features as were asked for, if there are more."""
    page = asker.features(_many(), pageSize=_PAGE).json()
    return "full" if len(page.get("features", [])) == _PAGE else "short"


def _result(answer: Answer) -> str:
    """Return the text of an answer's one result."""
    found = re.fullmatch(
        r'\s*{\s*"result"\s*:\s*(.*?)\s*}\s*', answer.content().decode(), re.DOTALL
    )
    if found is None:
        raise UnexpectedAnswerError(str(answer))
    return found[1]


def non_finite(asker: Asker) -> str:
    """Ask how NaN, here the square root of -1, is written in JSON."""
    return _word(
        _result(asker.value(call("Number.sqrt", input=constant(-1)))),
        {'"NaN"': "strings", "NaN": "bare", "null": "null"},
    )


def whole_numbers(asker: Asker) -> str:
    """Ask how a float that is a whole number, here 3.5 times 2, is written in JSON."""
    seven = call("Number.multiply", left=constant(3.5), right=constant(2))
    return _word(_result(asker.value(seven)), {"7": "integers", "7.0": "doubles"})


def _word(text: str, words: dict[str, str]) -> str:
    if text not in words:
        raise UnexpectedAnswerError(shown(text))
    return words[text]


def error_texts(asker: Asker) -> str:
    """Ask whether the message of an error is plain, or has a prefix or a request id."""
    missing = f"projects/earthengine-public/assets/{'eedask-asks-for-what-is-not-there-' * 3}"
    answer = asker.value(call("Image.load", id=constant(missing)))
    if answer.status == 200:
        raise UnexpectedAnswerError("an image that does not exist was computed")
    message = json.loads(answer.body)["error"]["message"]
    plain = not message.startswith("Earth Engine Error") and "\n" not in message
    return "plain" if plain and "request id" not in message.lower() else "decorated"


def retry_after(asker: Asker) -> str:
    """Ask what Retry-After holds in refusals, by more requests at once than the quota allows."""
    square = call("Number.multiply", left=constant(2), right=constant(2))
    for answer in asker.burst(square):
        if answer.status in (429, 503):
            when = answer.headers.get("retry-after")
            return "none" if when is None else "seconds" if when.isdigit() else "date"
    raise UnexpectedAnswerError("no request of a burst was refused")


def keep_alive(asker: Asker) -> str:
    """Ask whether a connection stays open after an answer."""
    closed = asker.config().headers.get("connection", "").lower() == "close"
    return "closed" if closed else "kept"


def gzip(asker: Asker) -> str:
    """Ask whether answers are compressed, and whether that takes "gzip" in the user agent."""
    long = constant("x" * 5000)
    answer = asker.value(long, {"User-Agent": "eedask"})
    if answer.headers.get("content-encoding") == "gzip":
        chunked = answer.headers.get("transfer-encoding") == "chunked"
        return "chunked" if chunked else "used"
    if asker.value(long).headers.get("content-encoding") == "gzip":
        return "user_agent"
    raise UnexpectedAnswerError("nothing is compressed")


def profiles(asker: Asker) -> str:
    """Ask whether Earth Engine tells what requests have cost."""
    if PROFILE not in asker.value(constant(1)).headers:
        return "absent"
    answer = asker.cost()
    if answer.status != 200:
        return "refused"
    costs_of(answer.body, 1)
    return "told"
