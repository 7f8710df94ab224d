"""The base class of PNG and JPEG, which are read, joined and written with Pillow."""

from __future__ import annotations

import io
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from eedask.grid import PixelGrid, Window
from eedask.pixels.formats.base import JoinableFormat, Joiner, bands_first, check_memory
from eedask.pixels.formats.masking import Masking

# Bytes of a pixel in Pillow's memory.
_PILLOW_BYTES = {"L": 1, "LA": 4, "RGB": 4, "RGBA": 4}
_GREYS = ("1", "L", "LA")
# What the bands of a picture are called that have no names of their own.
GREY, COLOURS = ("grey",), ("red", "green", "blue")


class PictureFormat(JoinableFormat):
    """Files of 8-bit pictures.

    Attributes
    ----------
    options : dict
        Options with which Pillow writes a chip that was joined from tiles.
    """

    is_visual = True
    options: ClassVar[dict[str, Any]] = {}

    @abstractmethod
    def unread(self, data: bytes) -> ImageFile.ImageFile:
        """Return Pillow's image of a file, whose pixels are not read yet.

        It is made by the class of the format, not by ``Image.open``, which refuses files of more
        than 179 million pixels as an attack. A chip that is joined from tiles may be larger.
        """

    def bands_of(self, data: bytes, named: Sequence[str] = ()) -> dict[str, str]:
        """Return the colours, named like the bands that were asked for if there are as many."""
        mode = self.unread(data).mode
        colours = GREY if mode in _GREYS else COLOURS
        names = named if len(named) == len(colours) else colours
        return dict.fromkeys(names, "uint8")

    def check_pixels(self, data: bytes) -> None:
        """Raise an error, of whatever class, unless all pixels can be decompressed."""
        self.open(data)

    def difference(self, data: bytes, bands: Sequence[str]) -> str | None:
        """Decompress the pixels; check that they are 8-bit, and coloured if three bands are."""
        self.check_pixels(data)
        mode = self.unread(data).mode
        if mode not in (*_PILLOW_BYTES, "P"):
            return f"it is a picture of the kind {mode!r}, not of 8 bits, grey or coloured"
        if len(bands) == 3 and mode in ("L", "LA"):
            return f"it is grey, where the bands {list(bands)} make colours"
        return None

    def joiner_of(self, grid: PixelGrid, most: int) -> Joiner:
        """Return a joiner that pastes tiles on a canvas."""
        return _Joiner(grid, most, {"format": self.rest_name, **self.options})

    def open(self, data: bytes, masking: Masking | None = None) -> Image.Image:
        """Return the picture, of any size."""
        image = self.unread(data)
        image.load()
        return image

    def as_array(self, data: bytes, masking: Masking | None = None) -> NDArray[Any]:
        """Return the picture's channels, alpha included if there is one."""
        return bands_first(np.asarray(_plain(self.open(data))))

    def as_picture(self, data: bytes, masking: Masking | None = None) -> Image.Image:
        """Return the picture as RGB, or as RGBA if it has alpha."""
        image = self.open(data)
        return image.convert("RGBA" if "A" in image.getbands() else "RGB")


class _Joiner:
    """Pastes tiles into one picture, which has colour or alpha if any of the tiles has.

    Tiles of one chip may differ in that, as Earth Engine leaves the alpha out of a PNG that has no
    masked pixels.
    """

    def __init__(self, grid: PixelGrid, most: int, save: dict[str, Any]) -> None:
        self._shape = grid.shape
        self._most = most
        self._save = save
        self._canvas: Image.Image | None = None

    def add(self, window: Window, data: bytes) -> None:
        tile = _plain(Image.open(io.BytesIO(data)))
        if self._canvas is None:
            check_memory(self._shape, _PILLOW_BYTES[tile.mode], self._most)
            self._canvas = Image.new(tile.mode, self._shape[::-1])
        mode = _common_mode(tile.mode, self._canvas.mode)
        if mode != self._canvas.mode:
            check_memory(self._shape, _PILLOW_BYTES[mode], self._most)
            self._canvas = self._canvas.convert(mode)
        if mode != tile.mode:
            tile = tile.convert(mode)
        self._canvas.paste(tile, (window.column, window.row))

    def finish(self) -> bytes:
        assert self._canvas is not None
        stream = io.BytesIO()
        self._canvas.save(stream, **self._save)
        self._canvas = None
        return stream.getvalue()


def _plain(image: Image.Image) -> Image.Image:
    """Return a picture in one of four modes: grey or RGB, with alpha or without."""
    image.load()
    has_alpha = image.has_transparency_data
    if image.mode in _PILLOW_BYTES and has_alpha == image.mode.endswith("A"):
        return image
    grey = image.mode in _GREYS
    return image.convert(("L" if grey else "RGB") + ("A" if has_alpha else ""))


def _common_mode(one: str, other: str) -> str:
    colour = "RGB" if "RGB" in one + other else "L"
    return colour + ("A" if one.endswith("A") or other.endswith("A") else "")
