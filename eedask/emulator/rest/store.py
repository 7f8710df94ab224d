"""Keeps the requests that create thumbnails and tables under ids, until their bytes are fetched.

An id is a hash of its request. Requests are kept in files, so that each process that computes
answers finds what another one has kept.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from eedask.emulator.errors import EarthEngineError

# "A few hours", says https://developers.google.com/earth-engine/reference/rest/v1/projects.thumbnails.
LIFETIME_S = 6 * 3600.0
_SWEEP_S = 600.0
_ID = re.compile(r"[0-9a-f]{32}-[0-9a-f]{32}")


class Store:
    """Stores requests under ids, as files in a directory.

    Parameters
    ----------
    directory : Path
        Existing; may be shared by processes.
    lifetime_s : float
        Seconds after the last :meth:`put` of a request at which its id expires.
    clock : callable
        Seconds since the epoch.
    """

    def __init__(
        self,
        directory: Path,
        lifetime_s: float = LIFETIME_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._directory = directory
        self._lifetime_s = lifetime_s
        self._clock = clock
        self._next_sweep = clock() + _SWEEP_S

    def put(self, kind: str, request: dict[str, Any]) -> str:
        """Keep a request and return its id: the same one for the same request."""
        text = json.dumps({"kind": kind, "request": request}, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()
        key = f"{digest[:32]}-{digest[32:]}"
        record = json.dumps({"kind": kind, "made": self._clock(), "request": request})
        self._write(self._directory / f"{key}.json", record)
        if self._clock() >= self._next_sweep:
            self._sweep()
        return key

    def get(self, kind: str, key: str) -> dict[str, Any]:
        """Return the request of an id.

        Raises
        ------
        EarthEngineError
            404: never made, of another kind, or forgotten.
        """
        record = self._read(self._directory / f"{key}.json") if _ID.fullmatch(key) else None
        if record is None or record["kind"] != kind or self._expired(record):
            raise EarthEngineError("Requested entity was not found.", 404)
        return record["request"]

    def _write(self, path: Path, text: str) -> None:
        with NamedTemporaryFile("w", dir=self._directory, suffix=".tmp", delete=False) as file:
            file.write(text)
        Path(file.name).replace(path)

    def _read(self, path: Path) -> dict[str, Any] | None:
        try:
            return json.loads(path.read_text())
        except FileNotFoundError:
            return None

    def _expired(self, record: dict[str, Any]) -> bool:
        return self._clock() - record["made"] > self._lifetime_s

    def _sweep(self) -> None:
        self._next_sweep = self._clock() + _SWEEP_S
        for path in self._directory.glob("*.json"):
            record = self._read(path)
            if record is not None and self._expired(record):
                path.unlink(missing_ok=True)
