"""What is asked of Earth Engine's REST API, and the limits that are known before asking.

The methods and limits are those of https://developers.google.com/earth-engine/reference/rest.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeVar

from eedask.earthengine.endpoint import Endpoint, Request
from eedask.earthengine.nodes import Encoded
from eedask.errors import (
    InputError,
    NoImageError,
    PermanentError,
    TooLargeError,
    TransientError,
)

T = TypeVar("T")
Example = TypeVar("Example")

# What may be wrong with one item alone.
REFUSALS = (PermanentError, TooLargeError, InputError)

PAGE_SIZE = 1000

# Exceptions that reading JSON raises where it has another form than expected: a key or index that
# is missing, a text in place of a dictionary, a number that is infinite, lists nested too deeply.
_MISREAD = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
)


# Earth Engine's message when an algorithm gets null for its image: `Image.select: Parameter 'input'
# is required and may not be null.` The names are those that algorithms have for their image. What
# computePixels answers if the whole expression is null is not documented; the second pattern is the
# emulator's message.
_NULL_IMAGE = re.compile(
    r"\bImage\.\w+: Parameter '(image1?|input|dstImg|object|value)' is required"
    r"|\bexpression does not evaluate to an image\b",
    re.IGNORECASE,
)

# The same of algorithms that take features as well, such as Element.get.
_NULL_ELEMENT = re.compile(r"\bElement\.\w+: Parameter 'object' is required", re.IGNORECASE)

# Of an image without bands, which a mosaic of no images is: its bands are chosen, it is combined
# with an image that has some, or it is drawn. Users report `Image.select: Band pattern 'B4' was
# applied to an Image with no bands.` (https://github.com/swisstopo/topo-satromo/issues/101) and
# `Image.multiply: If one image has no bands, the other must also have no bands.`
# (https://github.com/r-spatial/rgee/issues/167); the other messages are the emulator's.
_NO_BANDS = re.compile(
    r"\b(image with|image has) no bands\b|available bands: \[\]|\bat least one band\b"
    r"|bands to visualize\. Got 0\b|\bimage has 0\b|\bnumber of bands \(0\)"
    r"|\bcollection is empty\b",
    re.IGNORECASE,
)


class Send(Protocol):
    """Sends a request, retrying where that can help, and returns the body of the answer.

    ``check`` is called with each body and raises :class:`~eedask.errors.TransientError` if it is
    not what was asked for; the request is then sent again.
    """

    def __call__(self, request: Request, check: Callable[[bytes], None] | None = None) -> bytes:
        """Send the request and return the body of the answer."""


def ask(send: Send, request: Request, read: Callable[[bytes], T]) -> T:
    """Return what is read from the answer to a request.

    Parameters
    ----------
    send : Send
    request : Request
    read : callable
        Takes the body of the answer and returns what it says. If it raises
        :class:`~eedask.errors.TransientError`, the request is sent again.

    Raises
    ------
    RequestError
        If no answer that can be read came.
    """
    found: list[T] = []

    def check(body: bytes) -> None:
        found[:] = [read(body)]

    send(request, check)
    return found[0]


def first_answered(examples: Iterable[Example], answer: Callable[[Example], T]) -> T:
    """Return what ``answer`` returns for the first example that is not refused.

    What one item has no answer to, such as one without an image, others may have.

    Parameters
    ----------
    examples : iterable
        At least one.
    answer : callable
        Asks about an example.

    Raises
    ------
    PermanentError, TooLargeError, InputError
        Of the last example, if all are refused.
    """
    refused: Exception = InputError("there are no items")
    for example in examples:
        try:
            return answer(example)
        except REFUSALS as error:
            refused = error
    raise refused


@contextlib.contextmanager
def reading(body: bytes, wanted: str, items: int = 1) -> Iterator[None]:
    """Raise :class:`~eedask.errors.TransientError` where an answer cannot be read as expected.

    A body with status 200 may not be from Earth Engine: proxies answer with pages of their own.

    Parameters
    ----------
    body : bytes
        The answer, which the ``with`` block reads.
    wanted : str
        What was asked for, as words for the error message.
    items : int
        Of how many items it was asked. The error's cause is "answer" where they are several.
    """
    try:
        yield
    except _MISREAD as error:
        raise TransientError(
            f"asked for {wanted}; the answer ({len(body)} bytes, starting with {body[:40]!r}) has"
            f" none ({type(error).__name__}: {error})",
            cause="answer" if items > 1 else None,
        ) from error


@contextlib.contextmanager
def of_one_item(*, only_images: bool = False) -> Iterator[None]:
    """Explain an error that the ``with`` block raises because an item has no image.

    ``ee.ImageCollection.first`` of an empty collection is null, and a mosaic of it has no bands.
    Earth Engine's message then names only the algorithm that got such an image; the one raised here
    says what to do.

    Parameters
    ----------
    only_images : bool
        Whether all that the item's request computes is an image, so that it is the image that is
        null where an algorithm for images and features alike gets null, and the image must have
        bands.

    Raises
    ------
    NoImageError
        In place of a PermanentError whose message is of that kind. Others pass as they are.
    """
    try:
        yield
    except PermanentError as error:
        why = _no_image(error.message, only_images)
        if why is None:
            raise
        raise NoImageError(f"the item has no image, {why} ({error.message})") from error


def _no_image(message: str, only_images: bool) -> str | None:
    """Return in words why an item has no image, and what to do; None if it is not about that."""
    if only_images and _NO_BANDS.search(message):
        return (
            "but one without bands, as the mosaic of a collection that is empty for it: widen the"
            " collection's filters"
        )
    null = "as first() of a collection that is empty for it: widen the collection's filters"
    if only_images and (_NULL_IMAGE.search(message) or _NULL_ELEMENT.search(message)):
        return null
    # Tables have a row of nulls for an image without bands.
    return (
        f"{null}, or take mosaic(), which is masked then" if _NULL_IMAGE.search(message) else None
    )


def value_of(body: bytes) -> Any:
    """Return the value that an answer of ``value:compute`` holds; None for null.

    Raises
    ------
    TransientError
        If there is none.
    """
    with reading(body, "a value"):
        return json.loads(body)["result"]


def projection_of(body: bytes) -> dict[str, Any]:
    """Return the projection that an answer of ``value:compute`` holds, as ``getInfo`` tells it.

    Raises
    ------
    TransientError
        If there is none.
    """
    with reading(body, "a projection"):
        return checked_projection(value_of(body))


def checked_projection(value: Any) -> dict[str, Any]:
    """Return the description of a projection; raise what :func:`reading` takes if it is none."""
    if not {"crs", "wkt"} & value.keys():
        raise ValueError(f"{value!r} has no crs")
    for number in value.get("transform", ()):
        float(number)
    return dict(value)


def compute_value(endpoint: Endpoint, expression: Encoded) -> Request:
    """Return the request that answers with the value of any expression."""
    body = tagged(endpoint, {"expression": expression})
    return Request("POST", f"{endpoint.parent}/value:compute", body=body)


def compute_features(
    endpoint: Endpoint,
    expression: Encoded,
    page_token: str | None = None,
    page_size: int = PAGE_SIZE,
) -> Request:
    """Return the request for a page of a feature collection, of ``page_size`` features at most."""
    body = tagged(endpoint, {"expression": expression, "pageSize": page_size})
    if page_token:
        body["pageToken"] = page_token
    path = f"{endpoint.parent}/table:computeFeatures"
    return Request("POST", path, body=body, divisible=page_size > 1)


def tagged(endpoint: Endpoint, body: dict[str, Any]) -> dict[str, Any]:
    """Return a request's body with the endpoint's workload tag, if it has one."""
    if endpoint.workload_tag:
        body["workloadTag"] = endpoint.workload_tag
    return body
