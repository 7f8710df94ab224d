"""``Profile.getProfiles``: what requests before this one cost."""

from __future__ import annotations

from typing import Any

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import algorithm
from eedask.emulator.limits.profiles import as_text, fitted, merged

_MOST = 200


@algorithm("Profile.getProfiles", needs_context=True)
def get_profiles(context: Any, ids: list[str], form: str, most: int | None) -> Any:
    """Return the profiles of some ids as one, as a table or as a list of dictionaries.

    Of more than 200 entries, or as many as are asked for, the cheapest are made one.
    """
    if form not in ("text", "json"):
        raise EarthEngineError(f"Profile.getProfiles: Unknown format '{form}'.")
    if context.profiles is None:
        raise EarthEngineError("Profile.getProfiles: There are no profiles.")
    rows = fitted(merged(context.profiles(key) for key in ids), most or _MOST)
    return as_text(rows) if form == "text" else [dict(row) for row in rows]
