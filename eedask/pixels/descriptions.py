"""Asks for the grids and properties of images, where each item has an image of its own.

An answer of computePixels has nothing but pixels
(https://developers.google.com/earth-engine/reference/rest/v1/projects.image/computePixels). What
else is needed of an item's image is asked for before its pixels, for many items in one request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eedask.earthengine.endpoint import Endpoint
from eedask.earthengine.methods import ask, checked_projection, compute_value, reading, value_of
from eedask.earthengine.nodes import Graph, listed
from eedask.errors import NoImageError, PermanentError, RequestError, TooLargeError
from eedask.expressions.compile import Expression
from eedask.grid import NativeProjection, PixelGrid
from eedask.items.item import WorkItem
from eedask.run.task import Job, Sender

# Items that share a request.
TOGETHER = 100

PROJECTION, PROPERTIES = "projection", "properties"


@dataclass(frozen=True)
class Known:
    """What is known of an item's chip when its job begins.

    Attributes
    ----------
    grid : PixelGrid, optional
        The chip's grid; None if it follows from the projection, or only Earth Engine knows it.
    projection : mapping, optional
        The projection of the item's own image, as ``ee.Projection.getInfo`` returns it; None if it
        was not asked for.
    properties : mapping of str to object
        The properties of the item's image that were asked for, with the value None for those that
        it does not have.
    missing : NoImageError, optional
        Why there is no first image, if that is known already.
    """

    grid: PixelGrid | None = None
    projection: Mapping[str, Any] | None = None
    properties: Mapping[str, Any] | None = None
    missing: NoImageError | None = None


@dataclass(frozen=True)
class Undescribed:
    """What is known of the chips of a job's items before their images are described.

    Attributes
    ----------
    grids : tuple of PixelGrid or None
        The grid of each item's chip; None if it is not known yet.
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
    """Ask for the descriptions of a job's items in one request; return a job for each item.

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
        If Earth Engine refuses, even if the image of only one item is the reason.
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
    """Return two halves of a job of undescribed items that failed; nothing if it is final.

    One item may be the reason why the whole job fails, for instance if its image is null or the
    user's function fails on it.
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
    """Return under which property of a description's feature each property's value stands.

    The keys are the feature's properties, the values the names of the image's properties. They
    differ because a feature's property ``system:index`` comes back as its id.
    """
    return {f"property_{number}": name for number, name in enumerate(names)}


def properties_in(told: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return the wanted properties in a description; None for those that it does not have.

    If ``told`` is not a description, it raises an error that
    :func:`~eedask.earthengine.methods.reading` turns into a TransientError.
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
