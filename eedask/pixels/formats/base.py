"""What a format of image files can do: the one interface of all formats."""

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
    """Takes the tiles of one chip in any order and gives the file of the whole chip."""

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
        Whether all bands of a file have one type; by which masks are asked for, see
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
        """Return a file's (rows, columns) by its head.

        It raises whatever PIL or NumPy raise for a file that is damaged, as far as that shows
        without unpacking the pixels.
        """

    @abstractmethod
    def bands_of(self, data: bytes, named: Sequence[str] = ()) -> dict[str, str]:
        """Return the bands of a file by its head: NumPy's names of their types, by their names.

        They are the bands that are read from what :meth:`open` returns, in their order. What only
        says where others are masked, as alpha does, is none.

        Parameters
        ----------
        data : bytes
        named : sequence of str
            What the bands were asked for as, for files that do not name them; empty if that is not
            known.
        """

    @abstractmethod
    def difference(self, data: bytes, bands: Sequence[str]) -> str | None:
        """Return in what a file is not what was asked for, in words; None if in nothing.

        It raises any error where the pixels turn out not to be whole.

        Parameters
        ----------
        data : bytes
        bands : sequence of str
            Those that were asked for; empty if that is not known.
        """

    @property
    @abstractmethod
    def on_grid(self) -> JoinableFormat:
        """The format in which Earth Engine is asked for pixels whose grid is known beforehand."""

    def sent_as(self, *, has_grid: bool) -> ImageFormat:
        """Return the format in which Earth Engine is asked for the pixels of a file.

        Parameters
        ----------
        has_grid : bool
            Whether their grid is known beforehand. If not, a format that states it is asked for
            as it is.
        """
        return self.on_grid if has_grid else self

    @abstractmethod
    def open(self, data: bytes, masking: Masking | None = None) -> Any:
        """Return a file as what users of the format work with: an array, a picture, a dataset.

        ``masking`` is what it was settled with; the default of its types when not given.
        """

    @abstractmethod
    def as_array(self, data: bytes, masking: Masking | None = None) -> NDArray[Any]:
        """Return a file's values, shape (bands, rows, columns); 0 where the file masks them."""

    def bands_in(self, data: bytes) -> int | None:
        """Return how many bands a checked file has; None of pictures, where it may vary."""
        return None

    def mask_names(self, bands: Sequence[str]) -> tuple[str, ...]:
        """Return the names of what is asked for beside named bands, to tell where they are masked.

        Pictures are asked for as they are.
        """
        if self.is_visual:
            return ()
        return mask_names(bands, 1 if self.has_one_type else PACKED)

    def unpack(self, data: bytes, count: int) -> MaskedBands:
        """Return what an answer says, of a format of data.

        Parameters
        ----------
        data : bytes
            With ``count`` bands, and then what tells where they are masked.
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
        """Return the file to keep, of an answer with bands and masks; see :class:`Masking`.

        Pictures are kept as they are: they have alpha, or no mask at all.

        Parameters
        ----------
        data : bytes
        sent_as : ImageFormat
            The format of the answer, which unpacks it.
        masking : Masking
        count : int
            How many bands there are, without those of masks.
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
        """Return a file as an RGB or RGBA picture for people; see :func:`stretched` for data."""
        return stretched(self.as_array(data, masking))

    def grid_of(self, data: bytes) -> PixelGrid | None:
        """Return where a file says that its pixels lie; None if it does not say."""
        return None

    def check(
        self,
        data: bytes,
        shape: tuple[int, int] | None,
        bands: Sequence[str] = (),
    ) -> None:
        """Raise TransientError unless ``data`` is one whole image, and the one asked for.

        Parameters
        ----------
        data : bytes
        shape : (int, int), optional
            The rows and columns that it must have; None if any will do.
        bands : sequence of str
            The bands that it must have; any if empty.
        """
        with self.reading(data):
            found = self.shape_of(data)
        # First, so that no memory is taken for a size that nobody asked for.
        if shape is not None and found != shape:
            raise TransientError(f"the image has {found} (rows, columns); {shape} was asked for")
        with self.reading(data):
            different = self.difference(data, bands)
        if different is not None:
            raise TransientError(f"the image is not what was asked for: {different}")

    def check_values(self, data: bytes) -> None:
        """Raise TransientError unless the values can be read of a file that is checked."""
        with self.reading(data):
            self.as_array(data)

    @contextlib.contextmanager
    def reading(self, data: bytes) -> Iterator[None]:
        """Raise TransientError where a file cannot be read, whatever its reader raises.

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
        """Raise SizeError if a file of this format cannot have so many (rows, columns)."""
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
        """Return, for the user, what to do where a package is missing that writes files."""
        return (
            f"{self.name} files are written with {missing}, which is not installed: pip install"
            f" {missing} where the workers run, or ask for format='npy'"
        )


class JoinableFormat(ImageFormat):
    """A format whose files can be joined, where a chip is too large for one request."""

    @property
    def on_grid(self) -> JoinableFormat:
        """The format itself."""
        return self

    @abstractmethod
    def joiner_of(self, grid: PixelGrid, most: int) -> Joiner:
        """Return a new joiner for a chip; :meth:`join` has made sure that there can be one."""

    def join(self, grid: PixelGrid, most: int) -> Joiner:
        """Return what puts the tiles of one chip together.

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
    """Raise PermanentError unless a tile has what the first tile of its chip has."""
    if found != first:
        raise PermanentError(f"the tiles of one image differ in their {what}: {first}, {found}")


def bands_first(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return (rows, columns) or (rows, columns, bands) as (bands, rows, columns)."""
    return pixels[np.newaxis] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
