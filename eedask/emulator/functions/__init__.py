"""The implementations of Earth Engine's algorithms, in packages by the values they work on.

In go arguments, coerced to the types of the algorithm's signature.
Out come values of the expression.
``registry`` has the decorator that registers a function under an algorithm's name; importing this
package registers all of them. expression calls them by name.
"""

from importlib import import_module
from pkgutil import walk_packages

for _module in walk_packages(__path__, f"{__name__}."):
    import_module(_module.name)
