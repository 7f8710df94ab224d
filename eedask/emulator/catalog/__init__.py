"""The assets that expressions can load: invented data sets, and the user's own files.

In goes an asset's id.
Out come images, collections and tables that compute nothing until pixels or rows are asked for.
:class:`Catalog` is the door; functions, rest and server import it.
"""

from eedask.emulator.catalog.catalog import Catalog

__all__ = ["Catalog"]
