"""The cost of a request, counted rather than timed: operations, and bytes held at once.

Each request has a :class:`Meter`. Every read of a band's pixels, every call of an algorithm and
every element of a collection adds to its *operations*, and the arrays, lists and strings that are
alive at the same time are its *memory*. A request costs the same on every machine, so that it
exceeds its limits on all of them or on none.

Earth Engine bills EECU-seconds, an abstract time (https://developers.google.com/earth-engine/guides/computation_overview),
and fails requests with "User memory limit exceeded." and "Computation timed out."
(https://developers.google.com/earth-engine/guides/debugging). It publishes neither the rates nor
the limits: the constants here are guesses, chosen so that modelled seconds are about the seconds
that one machine takes, and that a chip of 256 × 256 pixels costs some tenths of an EECU-second.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from eedask.emulator.limits.budget import OPERATIONS_PER_EECU_SECOND, Budget, MemoryLimit, TimeLimit

# Operations charged for each request, call, band of a result, and element of a collection.
_PER_REQUEST = 1e5
_PER_CALL = 1e3
_PER_BAND = 2e2
_PER_ELEMENT = 1e2
# Bytes counted for each element of a collection, and each item of a list.
_ELEMENT_BYTES = 256
_ITEM_BYTES = 8
_CLOCK_EVERY = 1e6  # operations between looks at the clock


@dataclass
class Entry:
    """One algorithm's share of a request's cost.

    Attributes
    ----------
    operations : float
    peak : int
        The most bytes that the whole request held while the algorithm was counted.
    count : int
        How often the algorithm was called.
    """

    operations: float = 0.0
    peak: int = 0
    count: int = 0


@dataclass
class Meter:
    """The cost of one request so far.

    Attributes
    ----------
    budget : Budget
    operations : float
    peak : int
        The most bytes that were held at once.
    entries : dict of str to Entry
        The cost by algorithm; what belongs to none is under the empty name.
    tag : str, optional
        The request's workload tag.
    label : str
        The algorithm that is being called, which operations are charged to.
    depth : int
        How many scopes and reads are open, one inside the other. Pixels that a read returns
        are held only inside of another.
    rasters, values : int
        Bytes of pixels, and of other values, that are held now.
    """

    budget: Budget
    operations: float = 0.0
    peak: int = 0
    entries: dict[str, Entry] = field(default_factory=dict)
    tag: str | None = None
    label: str = ""
    depth: int = 0
    rasters: int = 0
    values: int = 0

    def __post_init__(self) -> None:
        self._allowed = self.budget.operations
        self._until = time.thread_time() + self.budget.processor_seconds
        self._next_look = 0.0
        self.charge(_PER_REQUEST)

    @property
    def eecu_seconds(self) -> float:
        """The operations so far, in EECU-seconds."""
        return self.operations / OPERATIONS_PER_EECU_SECOND

    def entry(self, label: str) -> Entry:
        """Return the entry of an algorithm; a new one at its first call."""
        found = self.entries.get(label)
        if found is None:
            found = self.entries[label] = Entry()
        return found

    def charge(self, operations: float, label: str | None = None) -> None:
        """Count operations, for the algorithm that is being called or for another one.

        Raises
        ------
        TimeLimit
            The operations or the processor time exceed the budget.
        """
        self.operations += operations
        label = self.label if label is None else label
        (self.entries.get(label) or self.entry(label)).operations += operations
        if self.operations > self._allowed:
            raise TimeLimit
        if self.operations >= self._next_look:
            self._next_look = self.operations + _CLOCK_EVERY
            if time.thread_time() > self._until:
                raise TimeLimit

    def foresee(self, operations: float) -> None:
        """Raise :class:`TimeLimit` if this many more operations would exceed the budget."""
        if not self.operations + operations <= self._allowed:
            raise TimeLimit

    def hold(self, size: int) -> None:
        """Count bytes of values as held until the enclosing :func:`scope` ends.

        Raises
        ------
        MemoryLimit
            More is held than the budget allows.
        """
        self.values += size
        self.check()

    def check(self, more: int = 0, label: str | None = None) -> None:
        """Update the peaks; raise :class:`MemoryLimit` if ``more`` bytes would be too many."""
        held = self.rasters + self.values
        if held > self.peak:
            self.peak = held
        label = self.label if label is None else label
        entry = self.entries.get(label) or self.entry(label)
        if held > entry.peak:
            entry.peak = held
        if held + more > self.budget.memory:
            raise MemoryLimit


_METER: ContextVar[Meter | None] = ContextVar("meter", default=None)
current: Callable[[], Meter | None] = _METER.get
"""Returns the meter of the current request; None outside of requests."""


def metered(budget: Budget) -> AbstractContextManager[Meter]:
    """Return a context manager that counts all work inside of it with a new meter."""
    return _Metered(Meter(budget))


# Classes, here and below, because context managers of contextlib take three times as long.
class _Metered(AbstractContextManager[Meter]):
    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def __enter__(self) -> Meter:
        self._token = _METER.set(self._meter)
        return self._meter

    def __exit__(self, *_: object) -> None:
        _METER.reset(self._token)


def charge(operations: float) -> None:
    """Count operations of the current request; see :meth:`Meter.charge`."""
    meter = current()
    if meter is not None:
        meter.charge(operations)


def foresee(operations: float) -> None:
    """Raise if the current request may not do this many more operations."""
    meter = current()
    if meter is not None:
        meter.foresee(operations)


def hold(size: int) -> None:
    """Count bytes as held by the current request until the enclosing scope ends."""
    meter = current()
    if meter is not None:
        meter.hold(size)


def scope() -> AbstractContextManager[None]:
    """Return a context manager: what is read or held inside counts as held until it ends."""
    return _Held()


class _Held(AbstractContextManager[None]):
    def __enter__(self) -> None:
        self._meter = meter = current()
        if meter is not None:
            self._marks = meter.rasters, meter.values
            meter.depth += 1

    def __exit__(self, *_: object) -> None:
        meter = self._meter
        if meter is not None:
            meter.depth -= 1
            meter.rasters, meter.values = self._marks


def metered_read(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a band's reader that counts its reads for the algorithm that makes the band.

    A reader usually reads other bands. The pixels that these return count as held until the
    reader itself returns, and its own result until the reader that called it returns. It is a
    closure because objects with ``__call__`` use more of the C stack.
    """
    if getattr(read, "is_metered", False):
        return read
    maker = current()
    label = "" if maker is None else maker.label

    def counting(grid: Any) -> Any:
        meter = current()
        if meter is None:
            return read(grid)
        size = grid.width * grid.height
        meter.charge(size, label)
        # One byte for each value and one for its mask are the least that the result takes.
        meter.check(2 * size, label)
        mark, values, made = meter.rasters, meter.values, 0
        meter.depth += 1
        try:
            pixels = read(grid)
            made = real_bytes(pixels.values) + real_bytes(pixels.mask)
            meter.rasters += made
            meter.check(0, label)
        except BaseException:
            made = 0
            raise
        finally:
            meter.depth -= 1
            # The result stays held inside another reader or a scope; outside of both nothing would
            # release it, so it is not counted.
            meter.rasters, meter.values = mark + made * bool(meter.depth), values
        return pixels

    counting.is_metered = True  # type: ignore[attr-defined]
    if hasattr(read, "points"):
        counting.points = _metered_points(read.points, label)  # type: ignore[attr-defined]
    if hasattr(read, "source"):
        counting.source = read.source  # type: ignore[attr-defined]
    return counting


def _metered_points(read: Callable[[Any], Any], label: str) -> Callable[[Any], Any]:
    """Return a reader of single pixels that counts their whole grids, as Earth Engine would."""

    def counting(places: Any) -> Any:
        pixels = read(places)
        meter = current()
        if meter is not None and pixels is not None:
            meter.charge(float(sum(p.grid.width * p.grid.height for p in places)), label)
            meter.check(real_bytes(pixels.values) + real_bytes(pixels.mask), label)
        return pixels

    return counting


def metered_call(name: str, call: Callable[[], Any]) -> Any:
    """Return the result of a call of an algorithm; the call and the result's size are counted."""
    meter = current()
    if meter is None:
        return call()
    before, meter.label = meter.label, name
    meter.entry(name).count += 1
    try:
        meter.charge(_PER_CALL)
        value = call()
        size = size_of(value)
        # Charged here rather than where bands are made, where a cached asset would cost nothing.
        meter.charge(_PER_BAND * len(getattr(value, "bands", ())))
        if size:
            meter.charge(size / _ITEM_BYTES)
            meter.hold(size)
        return value
    finally:
        meter.label = before


def metered_function(call: Callable[[], Any]) -> Any:
    """Return the result of a user's function; of the bytes it held, only the result's remain."""
    meter = current()
    if meter is None:
        return call()
    mark = meter.values
    value = call()
    meter.values = mark + size_of(value)
    return value


def metered_elements(elements: Iterator[Any]) -> Iterator[Any]:
    """Yield a collection's elements, counting each; their bytes are held until the last one."""
    first = current()
    held = 0
    # The iterator of a paged table continues in the request of the next page, with its meter.
    for element in elements:
        meter = current()
        if meter is not None:
            meter.charge(_PER_ELEMENT)
            held += _ELEMENT_BYTES
            meter.hold(_ELEMENT_BYTES)
        yield element
    if first is not None and current() is first:
        first.values = max(0, first.values - held)


def real_bytes(array: NDArray[Any]) -> int:
    """Return the bytes of an array; 0 for a broadcast of a single number (all strides are 0)."""
    return array.nbytes if any(array.strides) else 0


def size_of(value: Any) -> int:
    """Return the bytes of a value without its items, which were counted when they were made."""
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, list | tuple | Mapping):
        return _ITEM_BYTES * len(value)
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, int):
        return sys.getsizeof(value) if value.bit_length() > 64 else 0
    shape = getattr(value, "shape", None)
    if isinstance(shape, shapely.Geometry):
        return 16 * int(shapely.get_num_coordinates(shape))
    return 0
