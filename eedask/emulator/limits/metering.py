"""What a request costs, counted rather than timed: operations, and bytes that are held at once.

A :class:`Meter` runs beside each request. Every read of a band's pixels, every call of an
algorithm and every element of a collection is an amount of *operations*, and the arrays, lists
and strings that are alive together are its *memory*. Both are the same for the same request on
any machine, so the limits that they are held against trip at the same request everywhere.

Earth Engine bills EECU-seconds, an abstract time (https://developers.google.com/earth-engine/guides/computation_overview),
and fails requests with "User memory limit exceeded." and "Computation timed out."
(https://developers.google.com/earth-engine/guides/debugging). It publishes neither the rates nor
the limits: the constants here are guesses, chosen so that modelled seconds are about those that
one machine takes, and that a chip of 256 × 256 pixels costs some tenths of an EECU-second.
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

from eedask.emulator.errors import EarthEngineError

OPERATIONS_PER_EECU_SECOND = 1e7
"""Pixels of one band that one operation makes, for an EECU-second."""

PARALLELISM = 10
"""EECU-seconds that a request spends in a second: the machines that work on it."""

_PER_REQUEST = 1e5
_PER_CALL = 1e3
_PER_BAND = 2e2
_PER_ELEMENT = 1e2
_ELEMENT_BYTES = 256
_ITEM_BYTES = 8
_CLOCK_EVERY = 1e6  # operations between looks at the clock
MEMORY_WORDS = "User memory limit exceeded."
TIME_WORDS = "Computation timed out."


class MemoryLimit(EarthEngineError):
    """More bytes are held than the budget allows; smaller tiles may do."""

    def __init__(self) -> None:
        super().__init__(MEMORY_WORDS)


class TimeLimit(EarthEngineError):
    """More has been computed than the budget allows."""

    def __init__(self) -> None:
        super().__init__(TIME_WORDS)


@dataclass(frozen=True)
class Budget:
    """What one request may take.

    Attributes
    ----------
    memory : int
        Bytes of pixels, lists and strings held at the same time.
    timeout : float
        Modelled seconds. The default is Earth Engine's
        for interactive requests
        (https://developers.google.com/earth-engine/guides/processing_environments).
    """

    memory: int = 2**30
    timeout: float = 300.0

    def __post_init__(self) -> None:
        if self.memory <= 0:
            raise ValueError(f"memory must be positive, not {self.memory}")
        if not self.timeout > 0:
            raise ValueError(f"timeout must be positive, not {self.timeout}")

    @property
    def operations(self) -> float:
        """How many operations the timeout allows."""
        return self.timeout * PARALLELISM * OPERATIONS_PER_EECU_SECOND

    @property
    def processor_seconds(self) -> float:
        """How long this machine may really compute, should the count miss something."""
        return 2 * self.timeout + 1


@dataclass
class Entry:
    """One algorithm's part of a request."""

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
    entries : dict
        The cost by algorithm; what belongs to none is under the empty name.
    tag : str, optional
        The request's workload tag.
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
        """The cost in EECU-seconds."""
        return self.operations / OPERATIONS_PER_EECU_SECOND

    def entry(self, label: str) -> Entry:
        """Return an algorithm's entry."""
        found = self.entries.get(label)
        if found is None:
            found = self.entries[label] = Entry()
        return found

    def charge(self, operations: float, label: str | None = None) -> None:
        """Count operations, for the algorithm at work or another.

        Raises
        ------
        TimeLimit
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
        """Raise at once if so many more operations could not be done."""
        if not self.operations + operations <= self._allowed:
            raise TimeLimit

    def hold(self, size: int) -> None:
        """Count bytes of values that stay, until the scope around them ends.

        Raises
        ------
        MemoryLimit
        """
        self.values += size
        self.check()

    def check(self, more: int = 0, label: str | None = None) -> None:
        """Note how much is held, and raise if it or ``more`` besides is too much."""
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
"""Return the meter of the request at hand, None outside of one."""


def metered(budget: Budget) -> AbstractContextManager[Meter]:
    """Count what is done within under a new meter."""
    return _Metered(Meter(budget))


# Not generators of contextlib, here and below: those take three times as long.
class _Metered(AbstractContextManager[Meter]):
    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def __enter__(self) -> Meter:
        self._token = _METER.set(self._meter)
        return self._meter

    def __exit__(self, *_: object) -> None:
        _METER.reset(self._token)


def charge(operations: float) -> None:
    """Count operations, if there is a meter."""
    meter = current()
    if meter is not None:
        meter.charge(operations)


def foresee(operations: float) -> None:
    """Raise if so many operations could not be done."""
    meter = current()
    if meter is not None:
        meter.foresee(operations)


def hold(size: int) -> None:
    """Count bytes that stay until the scope around ends."""
    meter = current()
    if meter is not None:
        meter.hold(size)


def scope() -> AbstractContextManager[None]:
    """Let what is read within be held together, and be given back at the end."""
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
    """Return a band's reader that counts, for the algorithm that is making the band.

    What its own reading reads is held until it has its result, and that until the reader around
    it has its own. A closure, not an object with ``__call__``: those cost C stack.
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
        # A byte a value and one of its mask is the least that there will be.
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
            # A reader around it keeps what it is given; whoever else asks is not watched.
            meter.rasters, meter.values = mark + made * bool(meter.depth), values
        return pixels

    counting.is_metered = True  # type: ignore[attr-defined]
    if hasattr(read, "points"):
        counting.points = _metered_points(read.points, label)  # type: ignore[attr-defined]
    if hasattr(read, "source"):
        counting.source = read.source  # type: ignore[attr-defined]
    return counting


def _metered_points(read: Callable[[Any], Any], label: str) -> Callable[[Any], Any]:
    """Return a reader of points that counts whole grids, as Earth Engine computes them."""

    def counting(places: Any) -> Any:
        pixels = read(places)
        meter = current()
        if meter is not None and pixels is not None:
            meter.charge(float(sum(p.grid.width * p.grid.height for p in places)), label)
            meter.check(real_bytes(pixels.values) + real_bytes(pixels.mask), label)
        return pixels

    return counting


def metered_call(name: str, call: Callable[[], Any]) -> Any:
    """Return what a call of an algorithm returns, counting it and the size of what it returns."""
    meter = current()
    if meter is None:
        return call()
    before, meter.label = meter.label, name
    meter.entry(name).count += 1
    try:
        meter.charge(_PER_CALL)
        value = call()
        size = size_of(value)
        # Not where bands are made: an asset that is known already would cost less.
        meter.charge(_PER_BAND * len(getattr(value, "bands", ())))
        if size:
            meter.charge(size / _ITEM_BYTES)
            meter.hold(size)
        return value
    finally:
        meter.label = before


def metered_function(call: Callable[[], Any]) -> Any:
    """Return a function's result; what it held on the way, except that, is given back."""
    meter = current()
    if meter is None:
        return call()
    mark = meter.values
    value = call()
    meter.values = mark + size_of(value)
    return value


def metered_elements(elements: Iterator[Any]) -> Iterator[Any]:
    """Yield a collection's elements, counting each, and its bytes until the end."""
    first = current()
    held = 0
    # A page's iterator goes on in the next page's request: there it is that one's meter.
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
    """Return the memory of an array, 0 for one that repeats a single number."""
    return array.nbytes if any(array.strides) else 0


def size_of(value: Any) -> int:
    """Return the bytes of a value itself, not of what is in it (that was counted when made)."""
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
