"""``Profile.getProfiles``: the cost of earlier requests, algorithm by algorithm."""

from __future__ import annotations

from typing import Any

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import algorithm
from eedask.emulator.limits.profiles import as_text, fitted, merged
from eedask.emulator.readings import reading

_MOST = 200


@algorithm("Profile.getProfiles", needs_context=True)
def get_profiles(context: Any, ids: list[str], form: str, most: int | None) -> Any:
    """Return the profiles of some ids merged: a table as text, or a list of dictionaries.

    If there are more than ``most`` entries (200 by default), the cheapest are merged into one.
    """
    if form not in ("text", "json"):
        raise EarthEngineError(f"Profile.getProfiles: Unknown format '{form}'.")
    if reading("profiles") == "refused":
        raise EarthEngineError("Profile.getProfiles: The caller does not have permission.", 403)
    if context.profiles is None:
        raise EarthEngineError("Profile.getProfiles: There are no profiles.")
    rows = fitted(merged(context.profiles(key) for key in ids), most or _MOST)
    return as_text(rows) if form == "text" else [dict(row) for row in rows]
