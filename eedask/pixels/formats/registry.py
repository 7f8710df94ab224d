"""The formats of chips by name. A new format is a module beside this one, and a row here."""

from __future__ import annotations

from eedask.errors import InputError
from eedask.pixels.formats.base import ImageFormat
from eedask.pixels.formats.jpg import Jpg
from eedask.pixels.formats.npy import Npy
from eedask.pixels.formats.png import Png
from eedask.pixels.formats.tif import Tif

FORMATS: tuple[ImageFormat, ...] = (
    Png(),
    Jpg(),
    Npy(),
    Tif(),
)

_BY_NAME = {name: form for form in FORMATS for name in (form.name, *form.aliases)}
_BY_SUFFIX = {form.suffix: form for form in FORMATS}


def image_format(name: str) -> ImageFormat:
    """Return a format by its name or one of its aliases ("jpeg", "geotiff"), in any case.

    Raises
    ------
    InputError
        If there is no such format.
    """
    try:
        return _BY_NAME[str(name).lower()]
    except KeyError:
        known = ", ".join(repr(form.name) for form in FORMATS)
        raise InputError(f"format={name!r} is not known; choose one of {known}") from None


def format_of(path: str) -> ImageFormat:
    """Return the format of a file that a run has written, by its suffix.

    Raises
    ------
    InputError
        If it has none that is known.
    """
    try:
        return _BY_SUFFIX[path.rpartition(".")[2]]
    except KeyError:
        known = ", ".join(f".{suffix}" for suffix in _BY_SUFFIX)
        raise InputError(f"{path!r} is not an image file; those end in {known}") from None
