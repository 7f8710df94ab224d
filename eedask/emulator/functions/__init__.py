"""Earth Engine's algorithms, by the values they work on; importing this registers all of them.

In go arguments, coerced to the types of the algorithm's signature.
Out come values; ``registry`` has the decorator that ties a function to an algorithm's name.
expression calls them by name; no wing below knows them.
"""

from importlib import import_module
from pkgutil import walk_packages

for _module in walk_packages(__path__, f"{__name__}."):
    import_module(_module.name)
