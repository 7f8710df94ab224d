"""The assets that expressions can load: see :class:`Catalog`."""

from eedask.emulator.catalog.catalog import Catalog

__all__ = ["Catalog"]
