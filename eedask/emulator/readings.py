"""Readings: questions that Earth Engine's documentation leaves open, with plausible answers.

The emulator has to guess what the service does where that is not documented (``FIDELITY.md``). A
client should work whichever guess is right. So each guess that clients can notice is a reading: a
name with the alternatives that documents and users' reports allow. The emulator behaves as the
first alternative says, unless another one is set: when it starts (``Emulator(readings=…)``,
``--reading NAME=VALUE``) or while it runs (``Emulator.set_readings``). A setting holds for each
request that arrives after it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

ALL_OTHER = "all-other"
"""In place of readings: every one as its first alternative that is not the emulator's own."""


@dataclass(frozen=True)
class Reading:
    """One question that only the live service can answer, and the plausible answers.

    Attributes
    ----------
    name : str
    alternatives : tuple of str
        The first is what the emulator does unless it is told otherwise.
    about : str
        What each of them means.
    seen : str
        Where the alternatives come from.
    """

    name: str
    alternatives: tuple[str, ...]
    about: str
    seen: str

    def __str__(self) -> str:
        return f"{self.name} ({' or '.join(self.alternatives)})"

    @property
    def default(self) -> str:
        """The alternative that holds unless another one is set: the first."""
        return self.alternatives[0]


_READINGS = (
    Reading(
        "null_properties",
        ("dropped", "kept"),
        "Whether an element has no property, or one that is null, where copyProperties names what"
        " is missing, an outer join has no match, or a reducer has no input.",
        'the join guide: "unmatched metadata will be null"; nothing is said of the others',
    ),
    Reading(
        "capacity",
        ("400", "503", "504", "silence"),
        "How a request that is too heavy ends: 400 'User memory limit exceeded.' or 'Computation"
        " timed out.', 503 'Earth Engine memory capacity exceeded.' or 'Earth Engine capacity"
        " exceeded.', 504, or no answer until the client gives up.",
        "the debugging guide has the 400; threads of downloaders have the others",
    ),
    Reading(
        "argument_names",
        ("any", "identifiers"),
        "Whether the arguments of functions may be called anything, or only [A-Za-z_][A-Za-z0-9_]*"
        " (else 400).",
        "clients send _MAPPING_VAR_0_0; no grammar is documented",
    ),
    Reading(
        "crs_code",
        ("any", "epsg"),
        "Whether the code of a crs may be of any authority, or of EPSG alone (else 400), with WKT 1"
        " for all others.",
        "'ESRI:54009' that cannot be parsed, in threads",
    ),
    Reading(
        "geotiff_nodata",
        ("always", "where_masked", "never"),
        "Which GeoTIFFs state a nodata value: every one, those with masked pixels, or none, in"
        " which masked pixels are 0.",
        "geedim's tests find one for masked images; the reference says zeroes, of getPixels",
    ),
    Reading(
        "geotiff_types",
        ("promoted", "refused"),
        "Whether bands of several types come in one GeoTIFF, in the least type that holds all of"
        " them, or are refused (400).",
        "downloads of such images succeed for users; exports refuse them, 'Exported bands must have"
        " compatible data types'",
    ),
    Reading(
        "npy_masked",
        ("zero", "any"),
        "What masked pixels of NPY files hold: 0, or anything.",
        "users see 0; nothing is documented",
    ),
    Reading(
        "picture_bands",
        ("clipped", "refused"),
        "Whether PNG and JPEG of bands that are not 8-bit are clipped, and the first three of more"
        " than three bands of a thumbnail taken, or refused (400) without visualisation.",
        "the REST reference asks for 1 or 3 bands; nothing is said of types",
    ),
    Reading(
        "feature_members",
        ("null", "absent"),
        "Whether a feature without geometry or properties has the members as null and {}, or lacks"
        " them.",
        "RFC 7946 demands them; protocol buffers leave out what is empty",
    ),
    Reading(
        "percentiles",
        ("weighted", "unweighted"),
        "Whether median and percentiles of regions weigh pixels by mask and covered fraction.",
        "the weighting guide names other reducers only",
    ),
    Reading(
        "png_alpha",
        ("where_masked", "always"),
        "Whether a PNG is RGBA only where some pixel is not opaque, or always.",
        "users see both",
    ),
    Reading(
        "feature_order",
        ("as_sent", "any"),
        "Whether reduceRegions and computeFeatures give features in the collection's order.",
        "no order is documented",
    ),
    Reading(
        "extra_properties",
        ("none", "some"),
        "Whether features of answers have members and properties that nobody asked for:"
        " system:index, geo and others.",
        "exports have system:index and .geo; the service may add members at any time",
    ),
    Reading(
        "region_outputs",
        ("output", "band_output"),
        "What reduceRegions calls the outputs of a reducer of several, for one band.",
        "the guide shows combined reducers for several bands only",
    ),
    Reading(
        "pages",
        ("full", "short"),
        "Whether pages of computeFeatures are full, or short and now and then empty.",
        '"the server may return fewer"; only a missing token ends the list',
    ),
    Reading(
        "non_finite",
        ("strings", "bare", "null"),
        "What numbers that JSON lacks are: the strings NaN, Infinity and -Infinity, these words"
        " without quotes, or null.",
        "protocol buffers write strings, Python and Java libraries the words",
    ),
    Reading(
        "whole_numbers",
        ("integers", "doubles"),
        "Whether doubles without a fraction are written as 1 or as 1.0.",
        "the samples print both",
    ),
    Reading(
        "error_texts",
        ("plain", "decorated"),
        "Whether errors have the documented words alone, or 'Earth Engine Error: ' before, line"
        " breaks within and a request's id after them.",
        "threads quote both",
    ),
    Reading(
        "retry_after",
        ("none", "seconds", "date"),
        "Whether answers of 429 and 503 have a Retry-After, in seconds or as a date.",
        "RFC 9110 allows both; nothing is documented",
    ),
    Reading(
        "keep_alive",
        ("kept", "closed"),
        "Whether connections stay open, or are closed after each answer.",
        "proxies close them",
    ),
    Reading(
        "gzip",
        ("used", "chunked", "user_agent"),
        "How answers are compressed: JSON where the client accepts it; everything, in chunks"
        " without a length; or JSON only if 'gzip' stands in the User-Agent as well.",
        "the performance pages of Google's APIs ask for the User-Agent",
    ),
    Reading(
        "profiles",
        ("told", "absent", "refused"),
        "Whether a request that asks for its profile is answered with the id of one, of which"
        " Profile.getProfiles tells the cost; or without; or with one that is refused (403).",
        "the ee client asks in this way; the debugging guide warns that profiles may be missing",
    ),
)

READINGS: Mapping[str, Reading] = {reading.name: reading for reading in _READINGS}
"""All readings, by name."""


@dataclass(frozen=True)
class Readings:
    """How each reading is set.

    Parameters
    ----------
    given : mapping of str to str
        A value for each reading that is not to have its default.

    Raises
    ------
    ValueError
        There is no such reading, or it has no such alternative; the message lists those there are.
    """

    given: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in self.given.items():
            if name not in READINGS:
                raise ValueError(f"there is no reading {name!r}: there are {', '.join(READINGS)}")
            if value not in (known := READINGS[name].alternatives):
                raise ValueError(f"the reading {name} is {' or '.join(known)}, not {value!r}")

    @classmethod
    def parse(cls, spec: Any) -> Readings:
        """Return the readings that a mapping or a string describes; the defaults for None.

        Parameters
        ----------
        spec : Readings, mapping, str or None
            A string is ``"all-other"`` or ``"name=value,name=value"``; both may be mixed, and
            what comes later counts.
        """
        if isinstance(spec, Readings):
            return spec
        if spec is None or isinstance(spec, Mapping):
            return cls(dict(spec or {}))
        if not isinstance(spec, str):
            raise ValueError(f"readings are a text, or a mapping of names to values, not {spec!r}")
        given: dict[str, str] = {}
        for part in filter(None, map(str.strip, spec.split(","))):
            name, equals, value = part.partition("=")
            if not equals and name != ALL_OTHER:
                raise ValueError(f"a reading is NAME=VALUE or {ALL_OTHER}, not {part!r}")
            given |= {name: value} if equals else _all_other()
        return cls(given)

    def __getitem__(self, name: str) -> str:
        return self.given.get(name) or READINGS[name].default

    def spec(self) -> str:
        """Return the string that :meth:`parse` reads these from."""
        return ",".join(f"{name}={value}" for name, value in self.given.items())

    def all(self) -> dict[str, str]:
        """Return the value of every reading, by name."""
        return {name: self[name] for name in READINGS}


def _all_other() -> dict[str, str]:
    return {reading.name: reading.alternatives[1] for reading in _READINGS}


_CURRENT: ContextVar[Readings] = ContextVar("readings", default=Readings())  # noqa: B039 (frozen)


def reading(name: str) -> str:
    """Return how a reading is set for the current request."""
    return _CURRENT.get()[name]


@contextmanager
def under(readings: Readings) -> Iterator[None]:
    """Set the readings of what is computed inside the block."""
    token = _CURRENT.set(readings)
    try:
        yield
    finally:
        _CURRENT.reset(token)
