"""The questions that Earth Engine's documentation leaves open, and what eedask assumes of each.

Each question has the name of a reading of the emulator, and the same alternatives in the same
order. So the emulator can be set to what the live service answers
(``Emulator(readings=checkup.readings)``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from eedask.checkup import probes
from eedask.checkup.asking import Asker

# What eedask assumes of questions whose alternatives, two or more, all give the same results.
_EITHER, _ANY = "either", "any of these"


@dataclass(frozen=True)
class Question:
    """A question about Earth Engine that only the service itself can answer.

    Attributes
    ----------
    name : str
        The name of the function of :mod:`eedask.checkup.probes` that asks it.
    about : str
        What is asked, in a few words.
    alternatives : tuple of str
        The answers that are known.
    assumes : str
        What eedask relies on.
    advice : mapping of str to str
        What the user should do, by answer; answers that need no action are left out.
    needs_burst : bool
        Whether it takes more requests at once than the quota allows to find out.
    """

    name: str
    about: str
    alternatives: tuple[str, ...]
    assumes: str
    advice: Mapping[str, str] = field(default_factory=dict)
    needs_burst: bool = False

    @property
    def ask(self) -> Callable[[Asker], str]:
        """The function that asks."""
        found: Callable[[Asker], str] = getattr(probes, self.name)
        return found


QUESTIONS = (
    Question("null_properties", "Properties that are missing", ("dropped", "kept"), _EITHER),
    Question(
        "capacity",
        "End of requests too heavy",
        ("400", "503", "504", "silence"),
        _ANY,
        {"silence": "state a deadline= of a minute or two"},
    ),
    Question("argument_names", "Names of functions' arguments", ("any", "identifiers"), _EITHER),
    Question(
        "crs_code",
        "Authorities of crs codes",
        ("any", "epsg"),
        "epsg, or WKT",
    ),
    Question(
        "geotiff_nodata",
        "GeoTIFFs that state nodata",
        ("always", "where_masked", "never"),
        _ANY,
    ),
    Question(
        "geotiff_types",
        "GeoTIFFs of several types",
        ("promoted", "refused"),
        _EITHER,
        {"refused": "with region=, cast the image to one type for GeoTIFFs, as with toFloat()"},
    ),
    Question("npy_masked", "Masked pixels of NPY files", ("zero", "any"), _EITHER),
    Question(
        "picture_bands",
        "PNGs of bands that are not 8-bit",
        ("clipped", "refused"),
        _EITHER,
        {"refused": "state vis_params= for PNG and JPEG of such bands"},
    ),
    Question("feature_members", "Geometry of features without one", ("null", "absent"), _EITHER),
    Question(
        "percentiles",
        "Pixels in medians of regions",
        ("weighted", "unweighted"),
        _EITHER,
        {"unweighted": "a median takes each pixel on a region's edge for a whole one"},
    ),
    Question("png_alpha", "Alpha of PNGs", ("where_masked", "always"), _EITHER),
    Question("feature_order", "Order of features in answers", ("as_sent", "any"), _EITHER),
    Question("extra_properties", "Properties that nobody asked for", ("none", "some"), _EITHER),
    Question(
        "region_outputs",
        "Names of reduceRegions' values",
        ("output", "band_output"),
        _EITHER,
    ),
    Question("pages", "Pages of features", ("full", "short"), _EITHER),
    Question("non_finite", "NaN in JSON", ("strings", "bare", "null"), _ANY),
    Question("whole_numbers", "7.0 in JSON", ("integers", "doubles"), _EITHER),
    Question("error_texts", "Words of errors", ("plain", "decorated"), _EITHER),
    Question(
        "retry_after",
        "Retry-After of refusals",
        ("none", "seconds", "date"),
        _ANY,
        needs_burst=True,
    ),
    Question(
        "keep_alive",
        "Connections after an answer",
        ("kept", "closed"),
        _EITHER,
        {"closed": "a proxy on the way may do this; each request then takes longer"},
    ),
    Question("gzip", "Compression of answers", ("used", "chunked", "user_agent"), _ANY),
    Question(
        "profiles",
        "Costs of requests",
        ("told", "absent", "refused"),
        _ANY,
        dict.fromkeys(
            ("absent", "refused"),
            "runs cannot tell their EECU, nor keep max_eecu_hours=; set a daily quota instead",
        ),
    ),
)
"""All that is asked, in the order of the emulator's readings."""
