"""What Earth Engine says of the images of items that have one each: their grids and properties.

computePixels answers with pixels alone
(https://developers.google.com/earth-engine/reference/rest/v1/projects.image/computePixels). What
else is wanted of an item's image is asked before its pixels, of many items in one request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eedask.earthengine.endpoint import Endpoint
from eedask.earthengine.methods import ask, checked_projection, compute_value, reading, value_of
from eedask.earthengine.nodes import Graph, listed
from eedask.errors import PermanentError, RequestError, TooLargeError
from eedask.expressions.compile import Expression
from eedask.grid import NativeProjection, PixelGrid
from eedask.items.item import WorkItem
from eedask.run.task import Job, Sender

# Items that share a request.
TOGETHER = 100

PROJECTION, PROPERTIES = "projection", "properties"


@dataclass(frozen=True)
class Known:
    """What a job of one item begins with.

    Attributes
    ----------
    grid : PixelGrid, optional
        Of the chip; None where it follows from the projection, or only Earth Engine knows it.
    projection : mapping, optional
        Of the item's own image, as ``ee.Projection.getInfo`` tells it, if it was asked for.
    properties : mapping of str to object
        Those of the item's image that were asked for; None for those that it does not have.
    """

    grid: PixelGrid | None = None
    projection: Mapping[str, Any] | None = None
    properties: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Undescribed:
    """What a job of items begins with whose images are to be described first.

    Attributes
    ----------
    grids : tuple of PixelGrid or None
        Of each item's chip, as far as they are known.
    """

    grids: tuple[PixelGrid | None, ...]


def batches(items: Sequence[tuple[WorkItem, PixelGrid | None]]) -> Iterator[Job]:
    """Yield jobs of items that are described together."""
    for start in range(0, len(items), TOGETHER):
        chosen, grids = zip(*items[start : start + TOGETHER], strict=True)
        yield Job(chosen, Undescribed(grids))


def describe(
    endpoint: Endpoint, description: Expression, names: Sequence[str], job: Job, sender: Sender
) -> list[Job]:
    """Return a job for each item of a job, with what is to be known of it: one request for all.

    Parameters
    ----------
    endpoint : Endpoint
    description : Expression
        A dictionary with :data:`PROJECTION`, :data:`PROPERTIES` (a feature that has them by
        :func:`property_keys`), or both.
    names : sequence of str
        The properties that are wanted.
    job : Job
    sender : Sender

    Raises
    ------
    RequestError, InputError
        If Earth Engine refuses, be it because of one item's image.
    """
    graph = Graph()
    nodes = [graph.embed(description.encode(item)) for item in job.items]

    def read(body: bytes) -> list[Known]:
        with reading(body, "descriptions of images", len(job.items)):
            told = value_of(body)
            return [
                Known(grid, _projection(one), properties_in(one, names))
                for one, grid in zip(told, job.laid_out.grids, strict=True)
            ]

    known = ask(sender.ask, compute_value(endpoint, graph.encode(listed(nodes))), read)
    return [Job((item,), one) for item, one in zip(job.items, known, strict=True)]


def halves(job: Job, error: Exception) -> Sequence[Job]:
    """Return the halves of a job of undescribed items that was refused; none if its items fail.

    It may be refused because of one item, as where an image is null or the user's function fails.
    """
    own = isinstance(error, TooLargeError | PermanentError) or not isinstance(error, RequestError)
    if len(job.items) == 1 or not own:
        return ()
    middle, grids = len(job.items) // 2, job.laid_out.grids
    return [
        Job(job.items[half], Undescribed(grids[half]), elapsed_s=job.elapsed_s)
        for half in (slice(middle), slice(middle, None))
    ]


def property_keys(names: Sequence[str]) -> dict[str, str]:
    """Return names by the properties of the feature that holds their values in a description.

    Not by their own names: a feature's ``system:index`` comes back as its id.
    """
    return {f"property_{number}": name for number, name in enumerate(names)}


def properties_in(told: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return the wanted properties of a description; None for those that it does not have.

    Raises what :func:`~eedask.earthengine.methods.reading` takes, if it is none.
    """
    feature = told[PROPERTIES] if names else {}
    # A feature without properties may come without the key.
    found = feature.get("properties") or {}
    return {name: found.get(key) for key, name in property_keys(names).items()}


def _projection(told: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return checked_projection(told[PROJECTION]) if PROJECTION in told else None


def placeable(info: Mapping[str, Any]) -> NativeProjection:
    """Return an image's grid; raise PermanentError if pixels cannot be placed on it."""
    native = NativeProjection.from_info(info)
    native.check_readable()
    return native
