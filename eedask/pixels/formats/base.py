"""The interface of all formats of image files."""

from __future__ import annotations

import contextlib
import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eedask.errors import EedaskError, InputError, PermanentError, SizeError, TransientError
from eedask.grid import PixelGrid, Window
from eedask.pixels.formats.masking import PACKED, MaskedBands, Masking, mask_names
from eedask.pixels.formats.stretching import stretched


class Joiner(Protocol):
    """Takes the tiles of one chip in any order and gives the file of the whole chip.

    Pixels that no tile covers are 0 in all bands of the answer, those of masks and alpha included.
    """

    def add(self, window: Window, data: bytes) -> None:
        """Put a tile in its place.

        Parameters
        ----------
        window : Window
            Where the tile lies in the chip.
        data : bytes
            The tile's file.

        Raises
        ------
        SizeError
            If the whole chip would take more memory than it may.
        PermanentError
            If the tile has other bands or types than those before it.
        """

    def finish(self) -> bytes:
        """Return the file of the whole chip; no tile can be added any more."""


class ImageFormat(ABC):
    """A format of image files. It has no state: all instances of a class are equal.

    Attributes
    ----------
    name : str
        As the user says it, in lower case.
    aliases : tuple of str
        Other names that users may say, in lower case.
    rest_name : str
        ``ImageFileFormat`` of Earth Engine's REST API.
    suffix : str
        Of file names, without the dot.
    is_visual : bool
        True for 8-bit pictures of 1 or 3 bands, False for data.
    max_side : int, optional
        The most rows or columns that a file can have; None if that is more than any chip has.
    library : str, optional
        A package that is not installed with eedask, without which files of this format can be
        neither written nor opened. What Earth Engine sends can be checked without it.
    has_one_type : bool
        Whether all bands of a file have one type. It decides how masks are asked for; see
        :mod:`~eedask.pixels.formats.masking`.
    """

    name: ClassVar[str]
    aliases: ClassVar[tuple[str, ...]] = ()
    rest_name: ClassVar[str]
    suffix: ClassVar[str]
    is_visual: ClassVar[bool]
    max_side: ClassVar[int | None] = None
    library: ClassVar[str | None] = None
    has_one_type: ClassVar[bool] = False

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))

    @abstractmethod
    def shape_of(self, data: bytes) -> tuple[int, int]:
        """Return a file's (rows, columns), read from its header.

        For a damaged file it raises whatever Pillow or NumPy raise, as far as the damage shows
        without decompressing the pixels.
        """

    @abstractmethod
    def bands_of(self, data: bytes, named: Sequence[str] = ()) -> dict[str, str]:
        """Return the names of a file's bands with NumPy's names of their types, from its header.

        They are the bands of what :meth:`open` returns, in their order. Channels that only say
        where the others are masked, such as alpha, do not count.

        Parameters
        ----------
        data : bytes
        named : sequence of str
            The names by which the bands were asked for, for files that do not hold names; empty if
            they are not known.
        """

    @abstractmethod
    def difference(self, data: bytes, bands: Sequence[str]) -> str | None:
        """Return in words how a file differs from what was asked for; None if it does not.

        If pixels are missing or damaged, it may raise any error.

        Parameters
        ----------
        data : bytes
        bands : sequence of str
            The bands that were asked for; empty if they are not known.
        """

    @property
    @abstractmethod
    def on_grid(self) -> JoinableFormat:
        """The format in which Earth Engine is asked for pixels if their grid is known before."""

    def sent_as(self, *, has_grid: bool) -> ImageFormat:
        """Return the format in which Earth Engine is asked for the pixels of a file.

        Parameters
        ----------
        has_grid : bool
            Whether the pixels' grid is known before. If not, Earth Engine is asked for this format
            itself, as its file may state the grid.
        """
        return self.on_grid if has_grid else self

    @abstractmethod
    def open(self, data: bytes, masking: Masking | None = None) -> Any:
        """Return a file as users of the format work with it: an array, a picture or a dataset.

        Parameters
        ----------
        data : bytes
        masking : Masking, optional
            What :meth:`settle` was given when the file was made; the default when not given.
        """

    @abstractmethod
    def as_array(self, data: bytes, masking: Masking | None = None) -> NDArray[Any]:
        """Return a file's values, shape (bands, rows, columns), with 0 where they are masked."""

    def bands_in(self, data: bytes) -> int | None:
        """Return how many bands a checked file has; None for pictures, where it may vary."""
        return None

    def mask_names(self, bands: Sequence[str]) -> tuple[str, ...]:
        """Return the names of the further bands that are asked for, which hold the masks of bands.

        It is empty for pictures, which are asked for without such bands.
        """
        if self.is_visual:
            return ()
        return mask_names(bands, 1 if self.has_one_type else PACKED)

    def unpack(self, data: bytes, count: int) -> MaskedBands:
        """Return the bands and masks of an answer. Only formats of data have this method.

        Parameters
        ----------
        data : bytes
            An answer with ``count`` bands, followed by the bands that hold their masks.
        count : int
        """
        raise NotImplementedError(f"masks of {self.name} files are not asked for")

    def settle(
        self,
        data: bytes,
        sent_as: ImageFormat,
        masking: Masking,
        count: int,
        grid: PixelGrid | None,
    ) -> bytes:
        """Return the file to write, made from an answer with bands and masks.

        How the file says what is masked, :class:`Masking` states. Pictures are returned unchanged:
        they have alpha, or no mask at all.

        Parameters
        ----------
        data : bytes
        sent_as : ImageFormat
            The format of the answer.
        masking : Masking
        count : int
            How many bands there are, without those that hold masks.
        grid : PixelGrid, optional
            Where the pixels lie, if that is known.

        Raises
        ------
        PermanentError
            If the file cannot say which of its pixels are masked, or where they lie; or if what
            writes it is not installed.
        """
        return data

    def as_picture(self, data: bytes, masking: Masking | None = None) -> Image.Image:
        """Return a file as an RGB or RGBA picture to look at; see :func:`stretched` for data."""
        return stretched(self.as_array(data, masking))

    def grid_of(self, data: bytes) -> PixelGrid | None:
        """Return the grid that a file states for its pixels; None if it states none."""
        return None

    def check(
        self,
        data: bytes,
        shape: tuple[int, int] | None,
        bands: Sequence[str] = (),
    ) -> None:
        """Raise TransientError unless ``data`` is a complete image, and the one asked for.

        Parameters
        ----------
        data : bytes
        shape : (int, int), optional
            The rows and columns that it must have; None to accept any.
        bands : sequence of str
            The bands that it must have; empty to accept any.
        """
        with self.reading(data):
            found = self.shape_of(data)
            # Before the pixels are read, so that an unexpected size takes no memory.
            if shape is not None and found != shape:
                raise TransientError(
                    f"the image has {found} (rows, columns); {shape} was asked for"
                )
            different = self.difference(data, bands)
        if different is not None:
            raise TransientError(f"the image is not what was asked for: {different}")

    def check_values(self, data: bytes) -> None:
        """Raise TransientError unless all values of a checked file can be read."""
        with self.reading(data):
            self.as_array(data)

    @contextlib.contextmanager
    def reading(self, data: bytes) -> Iterator[None]:
        """Raise TransientError for any error that reading a file raises in the ``with`` block.

        Readers of files raise errors of many kinds for bytes that they do not expect.
        """
        try:
            yield
        except EedaskError:
            raise
        except Exception as error:
            raise TransientError(
                f"the answer ({len(data)} bytes, starting with {data[:16]!r}) is not a whole"
                f" {self.name} image ({type(error).__name__}: {error})"
            ) from error

    def check_side(self, shape: tuple[int, int]) -> None:
        """Raise SizeError if a file of this format cannot be as large as ``shape``."""
        if self.max_side is not None and max(shape) > self.max_side:
            raise SizeError(
                f"shape {shape} has a side of {max(shape)} pixels; a {self.rest_name} holds"
                f" {self.max_side} at most. Ask for format='png'"
            )

    def check_opens(self) -> None:
        """Raise InputError if what reads the format is not installed."""
        if missing := self.missing():
            raise InputError(
                f"{self.name} files are read with {missing}, which is not installed: pip install"
                f" {missing}"
            )

    def missing(self) -> str | None:
        """Return the package that has to be installed before files are joined or opened."""
        if self.library is None or importlib.util.find_spec(self.library) is not None:
            return None
        return self.library

    def check_writes(self) -> None:
        """Raise PermanentError if what writes the format is not installed."""
        if missing := self.missing():
            raise PermanentError(self.cannot_write(missing))

    def cannot_write(self, missing: str) -> str:
        """Return the error message for a missing package that is needed to write files."""
        return (
            f"{self.name} files are written with {missing}, which is not installed: pip install"
            f" {missing} where the workers run, or ask for format='npy'"
        )


class JoinableFormat(ImageFormat):
    """A format whose files can be joined from tiles, if a chip is too large for one request."""

    @property
    def on_grid(self) -> JoinableFormat:
        """The format itself."""
        return self

    @abstractmethod
    def joiner_of(self, grid: PixelGrid, most: int) -> Joiner:
        """Return a new joiner for a chip; :meth:`join` has checked the chip's shape."""

    def join(self, grid: PixelGrid, most: int) -> Joiner:
        """Return a joiner, which puts the tiles of one chip together.

        Parameters
        ----------
        grid : PixelGrid
            Of the whole chip.
        most : int
            Bytes that the whole chip may take decoded.

        Raises
        ------
        SizeError
            If the format cannot hold the shape.
        """
        self.check_side(grid.shape)
        return self.joiner_of(grid, most)


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
    """Raise PermanentError unless a tile equals the first tile of its chip in some respect."""
    if found != first:
        raise PermanentError(f"the tiles of one image differ in their {what}: {first}, {found}")


def bands_first(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return (rows, columns) or (rows, columns, bands) as (bands, rows, columns)."""
    return pixels[np.newaxis] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
