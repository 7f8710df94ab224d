"""The methods of the REST API v1, read from the discovery document, and which one a path calls."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from eedask.emulator.errors import EarthEngineError, NotSupported
from eedask.emulator.protocol.discovery import read_data
from eedask.emulator.protocol.schema_types import FieldType
from eedask.emulator.protocol.schemas import field_type

MAX_PAYLOAD = 10485760
"""Bytes that the body of a request may have, decompressed."""

PROFILING_HEADER = "X-Earth-Engine-Computation-Profiling"
"""The header of a request that is to be profiled."""

PROFILE_HEADER = "x-earth-engine-computation-profile"
"""The header of an answer that has the id of its request's profile."""


@dataclass(frozen=True)
class Method:
    """An HTTP method of the service.

    Attributes
    ----------
    id : str
        Dotted, without the service's name: ``projects.value.compute``.
    verb, path : str
        ``path`` holds ``{+name}`` where a resource name goes, ``{name}`` for one segment.
    patterns : mapping
        Path parameter to the regular expression that its value matches.
    query : mapping
        Query parameter to its type.
    body, response : str, optional
        Message names; a response of ``HttpBody`` is raw bytes.
    """

    id: str
    verb: str
    path: str
    patterns: Mapping[str, str]
    query: Mapping[str, FieldType] = field(default_factory=dict)
    body: str | None = None
    response: str = "HttpBody"

    @cached_property
    def regex(self) -> re.Pattern[str]:
        """A pattern for the whole path (with its leading slash), a group a parameter."""
        text = "/" + re.escape(self.path).replace(r"\{\+", "{").replace(r"\{", "{")
        text = text.replace(r"\}", "}")
        for name, pattern in self.patterns.items():
            text = text.replace(f"{{{name}}}", f"(?P<{name}>{pattern.strip('^$')})")
        return re.compile(text)


_BATCH = re.compile(r"/v1(?:alpha|beta)?/projects/[^/]+/\w+:(?:export\w*|import)")
_WHOLE_NUMBER = "-?[0-9]+"  # a tile's zoom, x and y


def _methods(node: Mapping[str, Any]) -> Iterator[Method]:
    """Yield the methods of a node of the document's tree of resources, and of all below it."""
    for described in node.get("methods", {}).values():
        yield _method(described)
    for child in node.get("resources", {}).values():
        yield from _methods(child)


def _method(described: Mapping[str, Any]) -> Method:
    parameters = described["parameters"]
    return Method(
        id=described["id"].removeprefix("earthengine."),
        verb=described["httpMethod"],
        path=described["path"],
        patterns={
            name: parameters[name].get("pattern", _WHOLE_NUMBER)
            for name in described["parameterOrder"]
        },
        query={
            name: field_type(value)
            for name, value in parameters.items()
            if value["location"] == "query"
        },
        body=described.get("request", {}).get("$ref"),
        response=described["response"]["$ref"],
    )


def _vagueness(method: Method) -> tuple[bool, int]:
    """Return a key that sorts methods which match few paths before those which match many.

    Names of assets and operations may hold anything, slashes and colons included, so their methods
    come last; among these, one with more fixed text in its path comes first.
    """
    fixed = re.sub(r"\{[^}]*\}", "", method.path)
    return any(".*" in pattern for pattern in method.patterns.values()), -len(fixed)


# Where two paths match, the first counts.
METHODS: tuple[Method, ...] = tuple(sorted(_methods(read_data("discovery.json")), key=_vagueness))
STANDARD_QUERY: frozenset[str] = frozenset(read_data("discovery.json")["parameters"])
"""Query parameters that every Google API takes."""


def route(verb: str, path: str) -> tuple[Method, dict[str, str]]:
    """Return the method of a (decoded) path, and its path parameters.

    Raises
    ------
    EarthEngineError
        404 if no method has this path, 400 if the method would start a batch task.
    """
    found = _found(verb, path)
    if found is not None:
        method, parameters = found
        return method, dict(parameters)
    if verb == "POST" and _BATCH.fullmatch(path):
        raise _no_batch(path)
    raise EarthEngineError(f"Method not found: {verb} {path}.", 404)


# Most requests of a client go to a few paths.
@lru_cache(maxsize=64)
def _found(verb: str, path: str) -> tuple[Method, Mapping[str, str]] | None:
    for method in METHODS:
        if method.verb == verb and (found := method.regex.fullmatch(path)):
            return method, found.groupdict()
    return None


def refusal(method: Method, path: str) -> EarthEngineError:
    """Return the error of a method that the service has and the emulator has not: always 400."""
    return _no_batch(path) if _BATCH.fullmatch(path) else NotSupported(method.id)


def _no_batch(path: str) -> EarthEngineError:
    return EarthEngineError(f"The eedask emulator has no batch system: {path} starts no task.")
