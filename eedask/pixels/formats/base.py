"""The image formats that Earth Engine answers in, and whether an answer is a whole one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from eedask.errors import PermanentError, SizeError, TransientError
from eedask.grid import Window

# What PIL and NumPy raise for bytes that are not what they should be.
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, KeyError, IndexError, TypeError)


@dataclass(frozen=True)
class ImageFormat:
    """A format of image files.

    Attributes
    ----------
    name : str
        As the user says it.
    rest_name : str
        ``ImageFileFormat`` of Earth Engine's REST API.
    suffix : str
        Of file names.
    is_visual : bool
        Whether it holds 8-bit pictures (1 or 3 bands), not data.
    shape_of : callable
        From a file's bytes to (rows, columns); raises if the file is not whole.
    """

    name: str
    rest_name: str
    suffix: str
    is_visual: bool
    shape_of: Callable[[bytes], tuple[int, int]]

    def check(self, data: bytes, shape: tuple[int, int] | None) -> None:
        """Raise TransientError unless ``data`` is one whole image of (rows, columns) ``shape``."""
        try:
            found = self.shape_of(data)
        except _DAMAGE as error:
            start = data[:16]
            raise TransientError(
                f"the answer ({len(data)} bytes, starting with {start!r}) is not a whole"
                f" {self.name} image: {error}"
            ) from error
        if shape is not None and found != shape:
            raise TransientError(f"the image has {found} (rows, columns); {shape} was asked for")


class Joiner(Protocol):
    """Takes tiles in any order and gives the whole file."""

    def add(self, window: Window, data: bytes) -> None:
        """Put a tile, an encoded file, in its place.

        Raises
        ------
        SizeError
            If the whole would take more memory than it may.
        PermanentError
            If the tile has other bands or types than those before it.
        """

    def finish(self) -> bytes:
        """Return the file; no tile can be added any more."""


def check_memory(shape: tuple[int, int], pixel_bytes: int, most: int) -> None:
    """Raise SizeError, with the arithmetic, if a chip takes more than ``most`` bytes decoded."""
    rows, columns = shape
    if (size := rows * columns * pixel_bytes) > most:
        side = int((most / pixel_bytes) ** 0.5)
        raise SizeError(
            f"{rows} rows x {columns} columns x {pixel_bytes} bytes = {size} bytes; a chip that is"
            f" put together of several requests may take {most} in memory. Ask for smaller chips"
            f" (a square one of {side} pixels would do) or fewer bands"
        )


def check_same(what: str, found: Any, first: Any) -> None:
    """Raise PermanentError unless a tile has what the first tile of its chip has."""
    if found != first:
        raise PermanentError(f"the tiles of one image differ in their {what}: {first}, {found}")
