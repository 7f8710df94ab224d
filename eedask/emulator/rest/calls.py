"""A checked request to a method, and the pages of features that methods answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from eedask.emulator.answers import Answer, json_answer
from eedask.emulator.protocol.api import Method
from eedask.emulator.rest.paging import Paged, Pager, page_size

# https://developers.google.com/earth-engine/reference/rest/v1/projects.table/computeFeatures
ELEMENTS_PAGE = 1000
"""Elements of a page of features or images, unless the request says how many."""


@dataclass(frozen=True)
class Call:
    """A checked request: path and query parameters, and the fields of its body."""

    method: Method
    path: Mapping[str, str]
    query: Mapping[str, Any]
    body: dict[str, Any]


Handler = Callable[[Call], Answer]


def feature_page(pager: Pager, query: Any, paging: Mapping[str, Any], paged: Paged) -> Answer:
    """Return a page of a feature collection.

    Parameters
    ----------
    pager : Pager
    query : JSON-able
        What is asked, apart from size and token.
    paging : mapping
        Holds ``pageSize`` and ``pageToken``, if the request states them.
    paged : Paged
        The features, shown as GeoJSON.
    """
    size = page_size(paging.get("pageSize"), ELEMENTS_PAGE)
    page = pager.page(query, size, paging.get("pageToken"), paged)
    result = {"type": "FeatureCollection", "features": page.elements}
    return json_answer(with_token(result, page.next_token))


def with_token(result: dict[str, Any], token: str | None) -> dict[str, Any]:
    """Return a page's JSON with the token of the next one, if there is one."""
    return result if token is None else {**result, "nextPageToken": token}
