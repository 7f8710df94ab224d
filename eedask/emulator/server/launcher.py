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
from eedask.emulator.server.options import models_of, parse_options
from eedask.emulator.server.starting import Command
from eedask.emulator.traffic.faults import Faults, Latency

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

_CONTROL_S = 30.0


class Emulator:
    """An emulator of Earth Engine in processes of its own, which runs as long as the context lasts.

    Parameters
    ----------
    mounts : mapping of str to path, optional
        For each asset id, the path of a raster (an Image), a folder of rasters (an
        ImageCollection) or a vector file (a FeatureCollection). An image of a folder has the id
        ``ID/stem``. Properties of images are read from GeoTIFF tags and from files beside the
        rasters; in this order, later ones replace earlier ones: STAC items (``*.json``, one for
        each image or a collection of them), GeoParquet or Parquet tables with a row for each file,
        ``properties.csv`` or ``properties.json``. Items and rows belong to the file of their name
        (an item also to that of its id). Their geometry, if they have one, is the image's
        footprint. ``system:time_start`` is their property of this name, else their ``datetime``,
        else a date in the file's name.
    concurrency : int, optional
        The most requests in flight; further ones are answered with 429. None: no limit.
    rate : float, optional
        The most requests a second; further ones are answered with 429. None: no limit.
    latency : float, str, mapping or Latency, optional
        Least seconds until an answer; see :class:`~eedask.emulator.traffic.faults.Latency`.
    faults : str, mapping or Faults, optional
        Shares of requests that go wrong; see :class:`~eedask.emulator.traffic.faults.Faults`.
    seed : int
        Seed of the random numbers for latency and faults.
    token_seconds : float, optional
        If given, requests need a bearer token, which is valid for so many seconds; those without
        are answered with 401. None: tokens are not checked.
    daily_eecu_seconds : float, optional
        Modelled compute time that the requests of a day may take; when it is used up, requests are
        answered with 429. None: no limit.
    monthly_eecu_hours : float, optional
        Modelled compute time that the requests of a month may take. When it is used up, only a
        tenth of ``concurrency`` is allowed, and answers have the header of restricted mode. None:
        no limit.
    memory : float, optional
        MiB that a request may hold at once: the pixels of a tile and what is read to make them,
        lists, strings. If it needs more, the answer is "User memory limit exceeded."; a larger
        ``tileScale`` makes tiles smaller, so that they need less. None: 1024.
    timeout : float, optional
        Modelled seconds that a request may take. If it needs more, the answer is "Computation
        timed out.". None: 300.
    processes : int, optional
        Number of processes that compute answers; 0: threads of the server do. None: one for each
        CPU.
    readings : str, mapping or Readings, optional
        How the emulator behaves where Earth Engine's behaviour is not documented, by the names of
        :data:`~eedask.emulator.readings.READINGS`: ``{"null_properties": "kept"}``, or
        ``"all-other"`` for the first alternative of each that is not the default.
    project : str
        The id of the only project there is.

    Attributes
    ----------
    url : str
    project : str
    credentials : google.auth.credentials.Credentials
        Anonymous ones; with ``token_seconds``, ones that get tokens from the emulator itself.

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

    or, to reset the client afterwards:

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
        if not isinstance(project, str) or not project:
            raise ValueError(f"project is the id of a project, not {project!r}")
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
        arguments = ["--port=0", "--quiet", "--parent-watch"]
        given = {name: str(value) for name, value in options.items() if value is not None}
        arguments += [f"{name}={text}" for name, text in given.items() if text]
        arguments += [f"--mount={asset}={path}" for asset, path in _mounts(mounts).items()]
        # The command would refuse them as well, but only after it has started.
        models_of(parse_options(arguments, exits=False))
        # -P: a file in the working directory must not shadow a module of the emulator's.
        self._command = Command([sys.executable, "-P", "-m", "eedask.emulator", *arguments])
        self.url = self._command.url
        self.credentials = _anonymous() if token_seconds is None else _authorized(self.url)

    @contextmanager
    def initialized(self) -> Iterator[None]:
        """Initialise this process's ``ee`` client on the emulator, and reset it at the end.

        The client's HTTP session, which the client itself leaves open, is closed as well. If the
        client was initialised before, that is lost.
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
        """Change the faults of requests from now on; ``outage_after`` counts from this call."""
        self._control("faults", Faults.parse(faults).spec())

    def set_quotas(self, **quotas: Any) -> None:
        """Change ``concurrency``, ``rate``, ``latency`` or the limits of EECU time.

        Quotas that are not named stay as they are.
        """
        if "latency" in quotas:
            quotas["latency"] = Latency.parse(quotas["latency"]).spec()
        self._control("quotas", quotas)

    @property
    def readings(self) -> dict[str, str]:
        """The present value of each reading, by name."""
        return self._readings.all()

    def set_readings(self, readings: Readings | Mapping[str, str] | str | None) -> None:
        """Set the readings from now on; readings that are not named get their defaults."""
        self._readings = Readings.parse(readings)
        self._control("readings", self._readings.spec())

    def revoke(self, token: str | None = None) -> None:
        """Revoke a refresh or access token; if None, that of :attr:`credentials`."""
        if token is None:
            token = getattr(self.credentials, "refresh_token", "")
        data = urllib.parse.urlencode({"token": token}).encode()
        self._exchange("revoke", data)

    def _control(self, what: str, body: Any) -> dict[str, Any]:
        return self._exchange(what, None if body is None else json.dumps(body).encode())

    def _exchange(self, what: str, data: bytes | None) -> dict[str, Any]:
        request = urllib.request.Request(f"{self.url}/emulator/{what}", data)
        # Proxies that the environment names are not used on loopback.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=_CONTROL_S) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise ValueError(json.load(error)["error"]["message"]) from None

    def close(self) -> None:
        """End the emulator. A second call does nothing."""
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


# Imported here, as the command itself, which imports this module too, does not need the packages.


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


def _mounts(mounts: Any) -> dict[str, Path]:
    """Return the absolute path of each asset id; raise ValueError if there are none such."""
    if mounts is None:
        return {}
    if not isinstance(mounts, Mapping):
        raise ValueError(f"mounts are paths by asset ids, as {{'ID': 'dem.tif'}}, not {mounts!r}")
    for asset, path in mounts.items():
        if not isinstance(asset, str) or not isinstance(path, str | Path):
            raise ValueError(f"mounts are paths by asset ids; {asset!r} is mounted as {path!r}")
    return {asset: Path(path).absolute() for asset, path in mounts.items()}
