"""File names from item ids: always inside the folder, legal everywhere, never two alike."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from urllib.parse import quote

# What stays as it is. Percent-encoding the rest is reversible, so distinct ids stay distinct.
_SAFE = " ()+,-.=@[]_"
# Names that Windows reserves, whatever their extension.
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
# File systems allow 255 bytes; this leaves room for an extension and a temporary suffix.
_LONGEST = 180


def safe_name(value: object, *, unique_case: bool = True) -> str:
    """Return a file name (without extension) for an id or a folder value.

    Parameters
    ----------
    value : object
        Anything with a ``str``; ids that differ as strings get names that differ.
    unique_case : bool
        Whether no other value differs from this one only by case. If False, a hash of the value
        is added, so that names stay apart on file systems that ignore case.

    Returns
    -------
    str
        1 to 180 characters, no separators, not reserved on any system.
    """
    text = str(value)
    # Encoded with surrogatepass: a lone surrogate is legal in a Python string.
    # "~" is kept for shortened names alone, so that none of them equals a full one.
    name = quote(text.encode("utf-8", "surrogatepass"), safe=_SAFE).replace("~", "%7E")
    name = _encode_edges(name)
    if _RESERVED.fullmatch(name):
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if len(name) > _LONGEST or not unique_case:
        name = f"{name[: _LONGEST - 21]}~{_digest(text)}"
    return name


def differ_only_by_case(values: Iterable[object]) -> bool:
    """Whether two of the values are distinct but equal when case is ignored."""
    texts = {str(value) for value in values}
    return len({text.casefold() for text in texts}) < len(texts)


def _encode_edges(name: str) -> str:
    """Encode what no file system takes at the ends: dots, spaces, and the empty name."""
    if not name:
        return "%"
    if name[0] in ". ":
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if name[-1] in ". ":
        name = f"{name[:-1]}%{ord(name[-1]):02X}"
    return name


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:20]
