"""The discovery document and the list of algorithms, which a client reads when it initialises.

``data/discovery.json`` is the document that is served, in the form of
https://developers.google.com/discovery/v1/reference/apis. Its content is that of
https://developers.google.com/earth-engine/reference/rest/v1/. Requests are checked by the same
file (:mod:`~eedask.emulator.protocol.api` reads its methods,
:mod:`~eedask.emulator.protocol.schemas` its messages), so client and checks never differ. Methods
that the emulator refuses are in it as well: a client makes its calls from the document, and a
method that it does not find there fails inside the client.

The list of algorithms is the one that comes with the installed ``earthengine-api``.
"""

from __future__ import annotations

import copy
import json
from functools import cache
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any


@cache
def read_data(name: str) -> dict[str, Any]:
    """Return the content of a JSON file in this wing's ``data``. Callers must not change it."""
    text = resources.files(__package__).joinpath("data", name).read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    return content


def discovery_document(root_url: str) -> dict[str, Any]:
    """Return the service's description for a server at ``root_url``."""
    root = root_url.rstrip("/") + "/"
    # A copy, as Google's client library adds to the description that it builds a client from.
    return {**copy.deepcopy(read_data("discovery.json")), "rootUrl": root, "baseUrl": root}


def algorithms_json() -> bytes:
    """Return the body that answers ``projects.algorithms.list``."""
    # Not by resources.files, which imports the package: a fifth of a second in each process.
    spec = find_spec("ee")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).with_name("tests").joinpath("algorithms.json").read_bytes()
