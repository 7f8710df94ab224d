"""The assets that expressions can load: synthetic data sets, and the user's own files.

In goes an asset's id.
Out come images, collections and tables that compute nothing until pixels or rows are asked for.
functions, rest and server import it, by :class:`Catalog`.
"""

from eedask.emulator.catalog.catalog import Catalog

__all__ = ["Catalog"]
