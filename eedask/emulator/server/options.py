"""The options of the command ``python -m eedask.emulator``."""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

from eedask.emulator.limits.accounting import Compute
from eedask.emulator.limits.budget import Budget
from eedask.emulator.readings import ALL_OTHER, READINGS, Readings
from eedask.emulator.server.hosts import LOOPBACK
from eedask.emulator.traffic.auth import Tokens
from eedask.emulator.traffic.quotas import Traffic

# The most processes that render; more only take memory.
_MOST_PROCESSES = 256


class Models(NamedTuple):
    """What the options of traffic and of resources are for."""

    traffic: Traffic
    tokens: Tokens
    readings: Readings
    budget: Budget


def models_of(options: argparse.Namespace) -> Models:
    """Return the models that options describe.

    Raises
    ------
    ValueError
        An option is out of bounds.
    """
    clock = time.monotonic  # as event loops have it
    traffic = Traffic(
        options.concurrency,
        options.rate,
        options.latency,
        options.faults,
        options.seed,
        clock=clock,
        compute=Compute(options.daily_eecu_seconds, options.monthly_eecu_hours),
    )
    return Models(
        traffic,
        Tokens(options.token_seconds, clock),
        Readings.parse(",".join(options.reading)),
        Budget(round(options.memory * 2**20), options.timeout),
    )


def parse_options(
    arguments: Sequence[str] | None = None, *, exits: bool = True
) -> argparse.Namespace:
    """Read the command's arguments; those of this process if None.

    Raises
    ------
    SystemExit
        Help was asked for, or an argument is wrong.
    ValueError
        An argument is wrong, and ``exits`` is False.
    """
    parser = (argparse.ArgumentParser if exits else _Raising)(
        prog="python -m eedask.emulator",
        description="Serve Earth Engine's REST API v1 on this machine, offline.",
    )
    _add_server(parser)
    _add_budgets(parser)
    _add_traffic(parser)
    _add_starting(parser)
    return parser.parse_args(arguments)


def _add_server(parser: argparse.ArgumentParser) -> None:
    """Add the options of address, output, assets and processes."""
    add = parser.add_argument
    add("--host", default=LOOPBACK, help="address to listen on (default: this machine only)")
    add("--port", type=_port, default=8778, help="0 takes a free one (default: 8778)")
    add("--project", help="the one project there is (default: every project is there)")
    add(
        "--mount",
        type=_mount,
        action="append",
        default=[],
        metavar="ID=PATH",
        help="show a raster, a folder of rasters or a vector file under an asset id",
    )
    add(
        "--processes",
        type=_processes,
        default=os.cpu_count() or 1,
        help="that render; 0 renders in threads of the server (default: one a CPU)",
    )


def _add_budgets(parser: argparse.ArgumentParser) -> None:
    """Add the limits on a request's resources, and on compute time by day and month."""
    add = parser.add_argument
    add(
        "--memory",
        type=_finite,
        default=Budget().memory / 2**20,
        help='MiB that a request may hold at once; more is "User memory limit exceeded." '
        "(default: %(default)g)",
    )
    add(
        "--timeout",
        type=_finite,
        default=Budget().timeout,
        help='modelled seconds that a request may take; more is "Computation timed out." '
        "(default: %(default)g)",
    )
    add(
        "--daily-eecu-seconds",
        type=_finite,
        help="modelled EECU-seconds that a day's requests may take; then they are answered 429",
    )
    add(
        "--monthly-eecu-hours",
        type=_finite,
        help="modelled EECU-hours that a month's requests may take; then fewer are let in at a "
        "time, and answers say that the project is restricted",
    )


def _add_traffic(parser: argparse.ArgumentParser) -> None:
    """Add the options of quotas, delays and faults."""
    add = parser.add_argument
    add("--concurrency", type=_whole, help="requests in flight; more are answered 429")
    add("--rate", type=_finite, help="requests a second; more are answered 429")
    add(
        "--latency",
        default="",
        help='seconds an answer takes at least: "0.1", or '
        '"median=0.1,sigma=0.5,slow_share=0.01,slow=3"',
    )
    add(
        "--faults",
        default="",
        help='shares of requests, e.g. "429=0.3,429_retry_after=0.1,500=0.05,503=0.05,hang=0.01,'
        'reset=0.01,truncated=0.01,wrong_bytes=0.01,drip=0.01,outage_after=5,outage=20"',
    )
    add(
        "--reading",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="what Earth Engine is taken to do where no document says it; may be repeated, and"
        f" {ALL_OTHER} changes all. There are: {'; '.join(map(str, READINGS.values()))}",
    )
    add(
        "--token-seconds",
        type=_finite,
        help="demand bearer tokens, each valid for so long; POST /emulator/token issues them",
    )
    add("--seed", type=_whole, default=0, help="of latency and faults (default: 0)")


def _add_starting(parser: argparse.ArgumentParser) -> None:
    """Add the options for a program that starts the command."""
    add = parser.add_argument
    add("--quiet", action="store_true", help="print the one line with the URL and no more")
    add(
        "--parent-watch",
        action="store_true",
        help="end when standard input does, as it does when the starting program dies",
    )


def _mount(text: str) -> tuple[str, str]:
    asset, equals, path = text.partition("=")
    if not (asset and equals and path):
        raise argparse.ArgumentTypeError(f"expected ID=PATH, not {text!r}")
    return asset, path


class _Raising(argparse.ArgumentParser):
    """Raises an error where others end the process."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a whole number, not {text}") from None


def _port(text: str) -> int:
    if (number := _whole(text)) < 0:
        raise argparse.ArgumentTypeError(f"expected 0 or more, not {text}")
    return number


def _processes(text: str) -> int:
    if not 0 <= (number := _whole(text)) <= _MOST_PROCESSES:
        raise argparse.ArgumentTypeError(f"expected 0 to {_MOST_PROCESSES}, not {text}")
    return number


def _finite(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"expected a finite number, not {text}")
    return number
