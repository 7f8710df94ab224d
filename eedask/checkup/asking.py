"""Small requests of the doctor, and all that is to be seen of their answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from eedask.earthengine.connection import Connection
from eedask.earthengine.endpoint import Request
from eedask.earthengine.nodes import Node

# A burst of so many requests at once is more than the 40 that a project has by default
# (https://developers.google.com/earth-engine/guides/usage).
_BURST = 80
# Pixels of the images that are asked for: 4 rows of 6, in degrees.
_GRID = {
    "dimensions": {"width": 6, "height": 4},
    "affineTransform": {"scaleX": 1, "translateX": 0, "scaleY": -1, "translateY": 4},
    "crsCode": "EPSG:4326",
}


@dataclass(frozen=True)
class Answer:
    """An answer as it came.

    Attributes
    ----------
    status : int
    headers : mapping of str to str
        By their names in lower case.
    body : bytes
        Unpacked.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    @property
    def words(self) -> str:
        """Earth Engine's words where it refuses, as they are; else the body's beginning."""
        try:
            return str(json.loads(self.body)["error"]["message"])
        except (ValueError, LookupError, TypeError):
            return self.text[:200]

    def __str__(self) -> str:
        return f"HTTP {self.status}: {' '.join(self.words.split())[:160]}"

    def json(self) -> Any:
        """Return the body as JSON; NaN and the like may stand in it without quotes.

        Raises
        ------
        UnexpectedAnswerError
            If the request was refused, or the body is no JSON.
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


class UnexpectedAnswerError(Exception):
    """A question was answered with something that it has no word for."""


class Asker:
    """Asks one endpoint.

    Parameters
    ----------
    connection : Connection
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._parent = connection.endpoint.parent

    def config(self) -> Answer:
        """Ask for the project's settings, which needs a project that is registered."""
        return self._look(Request("GET", f"{self._parent}/config"))

    def value(self, node: Node, headers: Mapping[str, str] | None = None) -> Answer:
        """Ask for the value of an expression."""
        return self.post("value:compute", {"expression": encoded(node)}, headers)

    def features(self, node: Node, **more: Any) -> Answer:
        """Ask for a page of a feature collection."""
        return self.post("table:computeFeatures", {"expression": encoded(node), **more})

    def pixels(self, node: Node, file_format: str) -> Answer:
        """Ask for 6 x 4 pixels of an image, of one degree each, from 0 to 6 east."""
        body = {"expression": encoded(node), "fileFormat": file_format, "grid": _GRID}
        return self.post("image:computePixels", body)

    def burst(self, node: Node) -> list[Answer]:
        """Ask for a value many times at once, more often than a project may by default."""
        with ThreadPoolExecutor(_BURST) as pool:
            return list(pool.map(lambda _: self.value(node), range(_BURST)))

    def post(
        self, method: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a body to one of the project's methods."""
        return self._look(Request("POST", f"{self._parent}/{method}", body=body), headers)

    def _look(self, request: Request, headers: Mapping[str, str] | None = None) -> Answer:
        return Answer(*self._connection.look(request, headers))


def encoded(node: Node) -> dict[str, Any]:
    """Return a node as a whole expression."""
    return {"result": "0", "values": {"0": node}}
