"""Sends the small requests of the doctor, and returns their answers with status and headers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from eedask.earthengine.connection import Connection
from eedask.earthengine.endpoint import Endpoint, Request
from eedask.earthengine.nodes import Encoded, Graph, Node
from eedask.earthengine.profiles import cost_request, costs_of
from eedask.errors import EedaskError, printable
from eedask.quota.asking import Asking

# More requests at once than the 40 that a project may have by default
# (https://developers.google.com/earth-engine/guides/usage).
BURST = 80
# The pixels that are asked for: 4 rows of 6, each of one unit of the crs (a degree or a metre).
_GRID = {
    "dimensions": {"width": 6, "height": 4},
    "affineTransform": {"scaleX": 1, "translateX": 0, "scaleY": -1, "translateY": 4},
}
# Characters of an answer that are shown.
_SHOWN = 160


class UnexpectedAnswerError(Exception):
    """A question was answered with none of the alternatives that it knows."""


@dataclass(frozen=True)
class Answer:
    """An answer of the server, whatever its status.

    Attributes
    ----------
    status : int
        HTTP status.
    headers : mapping of str to str
        Headers by their names in lower case.
    body : bytes
        The decompressed body.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def words(self) -> str:
        """The message of Earth Engine's error; if it is none, the beginning of the body."""
        try:
            return str(json.loads(self.body)["error"]["message"])
        except (ValueError, LookupError, TypeError):
            return self.body[:_SHOWN].decode("utf-8", "replace")

    def __str__(self) -> str:
        return f"HTTP {self.status}: {shown(self.words)}"

    def json(self) -> Any:
        """Return the value of the JSON body, in which NaN and infinities may stand unquoted.

        Raises
        ------
        UnexpectedAnswerError
            If the request was refused.
        ValueError
            If the body is not JSON.
        """
        return json.loads(self.content())

    def content(self) -> bytes:
        """Return the body of an answer with status 200.

        Raises
        ------
        UnexpectedAnswerError
            For any other status.
        """
        if self.status != 200:
            raise UnexpectedAnswerError(str(self))
        return self.body


class Asker:
    """Asks one endpoint. Each request takes a slot of the project's quota.

    Parameters
    ----------
    endpoint : Endpoint
    asking : Asking
        Sends requests to this endpoint.

    Attributes
    ----------
    last : Answer or None
        The last answer, not counting those of a burst; None before the first.
    """

    def __init__(self, endpoint: Endpoint, asking: Asking) -> None:
        self._endpoint = endpoint
        self._asking = asking
        self._profiles: list[str] = []
        self.last: Answer | None = None

    def config(self) -> Answer:
        """Ask for the project's settings."""
        return self._look(Request("GET", f"{self._endpoint.parent}/config"))

    def value(self, node: Node, headers: Mapping[str, str] | None = None) -> Answer:
        """Ask for the value of an expression."""
        return self.post("value:compute", {"expression": encoded(node)}, headers)

    def features(self, node: Node, **more: Any) -> Answer:
        """Ask for a page of a feature collection."""
        return self.post("table:computeFeatures", {"expression": encoded(node), **more})

    def pixels(self, node: Node, file_format: str, crs: str = "EPSG:4326") -> Answer:
        """Ask for 4 rows of 6 pixels of an image, east and north of the origin of a crs.

        Its units, degrees or metres, are the pixels' size.
        """
        grid = {**_GRID, "crsCode": crs}
        body = {"expression": encoded(node), "fileFormat": file_format, "grid": grid}
        return self.post("image:computePixels", body)

    def post(
        self, method: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a body to one of the project's methods."""
        request = replace(self._request(method, body), profile=self._profiles.append)
        return self._look(request, headers)

    def burst(self, node: Node) -> list[Answer]:
        """Ask for a value :data:`BURST` times at once, without waiting for slots of the quota."""
        request = self._request("value:compute", {"expression": encoded(node)})
        with (
            closing(Connection(self._endpoint, connections=BURST)) as connection,
            ThreadPoolExecutor(BURST) as pool,
        ):
            found = pool.map(lambda _: connection.look(request), range(BURST))
            return [Answer(*one) for one in found]

    def eecu_seconds(self) -> float | None:
        """Return what all requests so far have cost, in EECU-seconds, without those of a burst.

        None if Earth Engine does not tell.
        """
        try:
            return costs_of(self.cost().content(), 1)[0] if self._profiles else None
        except (EedaskError, UnexpectedAnswerError):
            return None

    def cost(self) -> Answer:
        """Ask what the requests so far have cost whose answers named a profile."""
        return self._look(cost_request(self._endpoint, [self._profiles]))

    def _look(self, request: Request, headers: Mapping[str, str] | None = None) -> Answer:
        self.last = Answer(*self._asking.look(request, headers))
        return self.last

    def _request(self, method: str, body: Mapping[str, Any]) -> Request:
        return Request("POST", f"{self._endpoint.parent}/{method}", body=body)


def encoded(node: Node) -> Encoded:
    """Return a node as a whole expression."""
    return Graph().encode(node)


def shown(text: str) -> str:
    """Return the beginning of a text from outside as one line that is safe to print."""
    line = printable(text)
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…"
