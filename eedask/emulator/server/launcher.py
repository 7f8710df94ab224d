"""The context manager that runs an emulator beside a program."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from eedask.emulator.readings import Readings
from eedask.emulator.server.starting import Command
from eedask.emulator.traffic.faults import Faults, Latency

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

_CONTROL_S = 30.0


class Emulator:
    """An Earth Engine on this machine, in processes of its own, as long as the context lasts.

    Parameters
    ----------
    mounts : mapping of str to path, optional
        Asset id to a raster (an Image), a folder of rasters (an ImageCollection) or a vector
        file (a FeatureCollection). A folder's images are loadable as ``ID/stem``. Their
        properties come from GeoTIFF tags and from what lies beside the rasters, the later ones
        over the earlier: STAC items (``*.json``, one each or a collection of them), GeoParquet
        or Parquet tables of one row a file, ``properties.csv`` or ``properties.json``. Items
        and rows are joined to files by name (an item also by its id); their geometry, if any,
        is the image's footprint; ``system:time_start`` is theirs, else their ``datetime``, else
        a date in the file's name.
    concurrency : int, optional
        Requests in flight; more are answered 429. None: no limit.
    rate : float, optional
        Requests a second; more are answered 429. None: no limit.
    latency : float, str, mapping or Latency, optional
        Seconds an answer takes at least; see :class:`~eedask.emulator.traffic.faults.Latency`.
    faults : str, mapping or Faults, optional
        Shares of requests that go wrong; see :class:`~eedask.emulator.traffic.faults.Faults`.
    seed : int
        Of latency and faults.
    token_seconds : float, optional
        Requests need a bearer token, valid for so many seconds; others are answered 401.
        None: nothing is checked.
    daily_eecu_seconds : float, optional
        Modelled compute time that a day's requests may take, then they are answered 429. None:
        no limit.
    monthly_eecu_hours : float, optional
        Modelled compute time that a month's requests may take. Then a tenth of ``concurrency``
        is let in, and answers have the header that tells of restricted mode. None: no limit.
    memory : float, optional
        MiB that a request may hold at once: pixels of a tile and what is read to make them,
        lists, strings. More is answered "User memory limit exceeded."; a larger ``tileScale``
        makes tiles, and what they hold, smaller. None: 1024.
    timeout : float, optional
        Seconds that a request may take, modelled from what it computes. More is answered
        "Computation timed out.". None: 300.
    processes : int, optional
        That render; 0 renders in threads of the server. None: one a CPU.
    readings : str, mapping or Readings, optional
        What Earth Engine is taken to do where no document says it, by the names of
        :data:`~eedask.emulator.readings.READINGS`: ``{"null_properties": "kept"}``, or
        ``"all-other"`` for everything that the emulator does not do by itself.
    project : str
        The one project there is.

    Attributes
    ----------
    url : str
    project : str
    credentials : google.auth.credentials.Credentials
        Anonymous, or with ``token_seconds`` ones that get tokens from the emulator's own server.

    Raises
    ------
    ValueError
        A setting is invalid.
    EmulatorFailed
        The emulator ended while starting, or made no progress for ten minutes. (If starting takes
        five seconds, a line on standard error says so.)

    Examples
    --------
    >>> with Emulator() as e:  # doctest: +SKIP
    ...     ee.Initialize(e.credentials, url=e.url, project=e.project)

    or, with the client put back to its beginnings afterwards,

    >>> with Emulator() as e, e.initialized():  # doctest: +SKIP
    ...     ee.Number(1).add(1).getInfo()
    """

    def __init__(
        self,
        mounts: Mapping[str, str | Path] | None = None,
        *,
        concurrency: int | None = None,
        rate: float | None = None,
        latency: Latency | Mapping[str, Any] | str | float | None = None,
        faults: Faults | Mapping[str, Any] | str | None = None,
        seed: int = 0,
        daily_eecu_seconds: float | None = None,
        monthly_eecu_hours: float | None = None,
        memory: float | None = None,
        timeout: float | None = None,
        token_seconds: float | None = None,
        processes: int | None = None,
        readings: Readings | Mapping[str, str] | str | None = None,
        project: str = "eedask-emulator",
    ) -> None:
        self.project = project
        self._readings = Readings.parse(readings)
        options = {
            "--project": project,
            "--seed": seed,
            "--concurrency": concurrency,
            "--rate": rate,
            "--latency": Latency.parse(latency).spec(),
            "--faults": Faults.parse(faults).spec(),
            "--daily-eecu-seconds": daily_eecu_seconds,
            "--monthly-eecu-hours": monthly_eecu_hours,
            "--memory": memory,
            "--timeout": timeout,
            "--token-seconds": token_seconds,
            "--processes": processes,
            "--reading": self._readings.spec(),
        }
        # -P: a file in the working directory must not shadow a module of the emulator's.
        command = [sys.executable, "-P", "-m", "eedask.emulator", "--port=0", "--quiet"]
        command += ["--parent-watch"]
        command += [f"{name}={value}" for name, value in options.items() if value not in (None, "")]
        for asset, path in (mounts or {}).items():
            command.append(f"--mount={asset}={Path(path).absolute()}")
        self._command = Command(command)
        self.url = self._command.url
        self.credentials = _anonymous() if token_seconds is None else _authorized(self.url)

    @contextmanager
    def initialized(self) -> Iterator[None]:
        """Initialise this process's ``ee`` client on the emulator, and reset it at the end.

        The client's one HTTP session, which it leaves open itself, is closed as well. What the
        client was initialised on before is forgotten.
        """
        # Not at the module's top: only those who ask for it should wait for the client's import.
        import ee

        ee.Initialize(self.credentials, url=self.url, project=self.project)
        try:
            yield
        finally:
            session = ee.data._get_state().requests_session
            if session is not None:
                session.close()
            ee.Reset()

    def stats(self) -> dict[str, Any]:
        """Return what happened so far.

        Keys: ``requests``, ``by_status``, ``by_method``, ``faults`` (counts), ``abandoned``
        (clients that went away), ``in_flight``, ``peak_in_flight`` and ``slot_seconds`` (the time
        that requests were in flight, summed over requests); ``eecu_seconds``,
        ``eecu_seconds_by_tag`` (workload tag; "" for none), ``eecu_seconds_today``,
        ``eecu_seconds_this_month``, ``peak_memory`` (bytes) and ``restricted``.
        """
        return self._control("stats", None)

    def reset_stats(self) -> None:
        """Start counting anew."""
        self._control("stats", {})

    def set_faults(self, faults: Faults | Mapping[str, Any] | str | None) -> None:
        """Change the faults from now on; an outage counts from now."""
        self._control("faults", Faults.parse(faults).spec())

    def set_quotas(self, **quotas: Any) -> None:
        """Change ``concurrency``, ``rate``, ``latency`` or the limits of EECU time.

        What is not named stays.
        """
        if "latency" in quotas:
            quotas["latency"] = Latency.parse(quotas["latency"]).spec()
        self._control("quotas", quotas)

    @property
    def readings(self) -> dict[str, str]:
        """How each reading is set, by name."""
        return self._readings.all()

    def set_readings(self, readings: Readings | Mapping[str, str] | str | None) -> None:
        """Set the readings from now on; those that are not named are the emulator's own."""
        self._readings = Readings.parse(readings)
        self._control("readings", self._readings.spec())

    def revoke(self, token: str | None = None) -> None:
        """Accept a refresh or access token no more; that of :attr:`credentials` if None."""
        if token is None:
            token = getattr(self.credentials, "refresh_token", "")
        data = urllib.parse.urlencode({"token": token}).encode()
        self._exchange("revoke", data)

    def _control(self, what: str, body: Any) -> dict[str, Any]:
        return self._exchange(what, None if body is None else json.dumps(body).encode())

    def _exchange(self, what: str, data: bytes | None) -> dict[str, Any]:
        request = urllib.request.Request(f"{self.url}/emulator/{what}", data)
        # No proxy that the environment names has business between two ends of a loopback.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=_CONTROL_S) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise ValueError(json.load(error)["error"]["message"]) from None

    def close(self) -> None:
        """End the emulator; again does nothing."""
        self._command.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


# Imported here: whoever starts the command has a use for these packages, the command has none.


def _anonymous() -> Credentials:
    from google.auth.credentials import AnonymousCredentials

    return AnonymousCredentials()


def _authorized(url: str) -> Credentials:
    """Return credentials that have tokens from the emulator's own server."""
    from google.oauth2.credentials import Credentials as OAuthCredentials

    return OAuthCredentials(
        None,
        refresh_token="1//emulator-refresh-token",
        token_uri=f"{url}/emulator/token",
        client_id="emulator-client",
        client_secret="emulator-client-secret",
    )
