"""What ``run()`` shows of its progress: a bar, or a line a minute where nothing can be redrawn."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Any

from tqdm.auto import tqdm

from eedask.arguments import is_flag
from eedask.errors import InputError
from eedask.run.progress import Listener, Progress, Told
from eedask.watching.tables import duration

# Seconds between two lines.
LINE_S = 60.0
_BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"


@contextlib.contextmanager
def listener(show: bool | Listener, description: str) -> Iterator[Told]:
    """Yield the listener that ``show`` asks for: a progress bar, none, or the user's callable.

    The bar is a widget in a notebook, and a line that is drawn anew in a terminal. Where standard
    error is neither, such as a file, there is a line of text a minute, and one at the end.
    """
    if callable(show):
        yield Told(show)
    elif not is_flag(show):
        raise InputError(f"progress is True, False, or a callable; got {show!r}")
    elif not show:
        yield Told(lambda _: None)
    else:
        with contextlib.ExitStack() as stack:
            yield Told(_shown(description, stack))


def _shown(description: str, stack: contextlib.ExitStack) -> Listener:
    shows: list[Listener] = []

    def show(now: Progress) -> None:
        # A bar cannot be drawn before the number of items is known.
        if not shows:
            shows.append(_begun(description, now, stack))
        shows[0](now)

    return show


def _begun(description: str, now: Progress, stack: contextlib.ExitStack) -> Listener:
    # tqdm knows where a bar can be drawn: None asks it.
    bar = stack.enter_context(
        _Bar(
            desc=description,
            total=now.total,
            initial=now.done,
            bar_format=_BAR,
            dynamic_ncols=True,
            disable=None,
        )
    )
    if bar.disable:
        return stack.enter_context(_Lines(description)).show

    def draw(now: Progress) -> None:
        bar.total, bar.n = now.total, now.done
        bar.set_postfix_str(", ".join(_words(now)), refresh=False)
        bar.refresh()

    return draw


class _Bar(tqdm):  # type: ignore[type-arg]
    """A bar whose time goes on as before where the machine's clock is set."""

    def __init__(self, **options: Any) -> None:
        self._began = time.monotonic()
        super().__init__(**options)

    @property
    def format_dict(self) -> dict[str, Any]:
        """What the bar is made of."""
        return {**super().format_dict, "elapsed": time.monotonic() - self._began}


class _Lines:
    """Writes a line to standard error once a minute, and one at the end."""

    def __init__(self, description: str) -> None:
        self._description = description
        self._latest: Progress | None = None
        self._due = time.monotonic() + LINE_S

    def show(self, now: Progress) -> None:
        self._latest = now
        if time.monotonic() >= self._due:
            self._write(now)

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *_: object) -> None:
        if self._latest is not None:
            self._write(self._latest)

    def _write(self, now: Progress) -> None:
        self._due = time.monotonic() + LINE_S
        items = f"{self._description}: {now.done:,} of {now.total:,} items done"
        print(", ".join([items, *_words(now)]), file=sys.stderr, flush=True)


def _words(now: Progress) -> Iterator[str]:
    """Yield what there is to say beside the number of items that are done."""
    if now.eta_s:
        yield f"{duration(now.eta_s)} left"
    if now.failed:
        yield f"{now.failed:,} failed"
    if now.requests_per_s:
        yield f"{now.requests_per_s:,.1f} requests/s"
    if now.in_flight:
        yield f"{now.in_flight:,} under way"
    if now.throttled:
        yield f"{now.throttled:,} throttled"
