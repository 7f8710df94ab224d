"""The methods of the REST API v1, as a table, and which of them a path belongs to.

Those that the emulator refuses are in the table as well: a client makes its calls from the
discovery document, and one that it does not find there fails inside the client.

Source: https://developers.google.com/earth-engine/reference/rest/v1/.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from eedask.emulator.errors import EarthEngineError, NotSupported

MAX_PAYLOAD = 10485760
"""Bytes that the body of a request may have, decompressed."""


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
        Query parameter to type.
    body, response : str, optional
        Message names; a response of ``HttpBody`` is raw bytes.
    """

    id: str
    verb: str
    path: str
    patterns: Mapping[str, str]
    query: Mapping[str, str] = field(default_factory=dict)
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


_PROJECT = "^projects/[^/]+$"
_ASSET = "^projects/[^/]+/assets/.*$"
_OPERATION = "^projects/[^/]+/operations/.*$"
_CONFIG = "^projects/[^/]+/config$"
_BATCH = re.compile(r"/v1(?:alpha|beta)?/projects/[^/]+/\w+:(?:export\w*|import)")
_TAG = {"workloadTag": "string"}
_LISTING = {"pageSize": "int32", "pageToken": "string", "filter": "string"}


def _project_method(
    id: str, verb: str, suffix: str, parameter: str = "project", **kwargs: object
) -> Method:
    path = f"v1/{{+{parameter}}}{suffix}"
    return Method(f"projects.{id}", verb, path, {parameter: _PROJECT}, **kwargs)  # type: ignore[arg-type]


def _rendered(resource: str, message: str, getter: str = "getPixels") -> tuple[Method, Method]:
    """Return the two methods of what is created by a POST and fetched by a GET of its name."""
    name = f"^projects/[^/]+/{resource}/[^/]+$"
    return (
        _project_method(
            f"{resource}.create",
            "POST",
            f"/{resource}",
            "parent",
            query=_TAG,
            body=message,
            response=message,
        ),
        Method(f"projects.{resource}.{getter}", "GET", f"v1/{{+name}}:{getter}", {"name": name}),
    )


def _tile(resource: str) -> Method:
    """Return the method that answers a tile of a map of a kind."""
    parent = f"^projects/[^/]+/{resource}/[^/]+$"
    return Method(
        f"projects.{resource}.tiles.get",
        "GET",
        "v1/{+parent}/tiles/{zoom}/{x}/{y}",
        {"parent": parent, **dict.fromkeys(("zoom", "x", "y"), "-?[0-9]+")},
    )


def _exports() -> tuple[Method, ...]:
    """Return what starts batch tasks; there is nowhere for them to run."""
    kinds = (
        *((name, "export", "") for name in ("image", "table", "video", "map", "classifier")),
        *((name, "import", "") for name in ("image", "table")),
        ("image", "import", "External"),
    )
    return tuple(
        _project_method(
            f"{resource}.{verb}{kind}",
            "POST",
            f"/{resource}:{verb}{kind}",
            body=f"{verb.title()}{kind}{resource.title()}Request",
            response="EarthEngineAsset" if kind else "Operation",
        )
        for resource, verb, kind in kinds
    )


def _asset_changes() -> tuple[Method, ...]:
    """Return what makes, changes, moves and shares assets; these are all read-only here."""

    def at(parameter: str, name: str, body: str, response: str = "EarthEngineAsset") -> Method:
        path = f"v1/{{+{parameter}}}:{name}"
        return Method(
            f"projects.assets.{name}", "POST", path, {parameter: _ASSET}, {}, body, response
        )

    asset, path = "EarthEngineAsset", "v1/{+name}"
    names = {"name": _ASSET}
    created = {"assetId": "string", "overwrite": "boolean"}
    return (
        _project_method(
            "assets.create",
            "POST",
            "/assets",
            "parent",
            query=created,
            body=asset,
            response=asset,
        ),
        at("sourceName", "copy", "CopyAssetRequest"),
        at("sourceName", "move", "MoveAssetRequest"),
        at("resource", "getIamPolicy", "GetIamPolicyRequest", "Policy"),
        at("resource", "setIamPolicy", "SetIamPolicyRequest", "Policy"),
        Method("projects.assets.patch", "PATCH", path, names, {}, "UpdateAssetRequest", asset),
        Method("projects.assets.delete", "DELETE", path, names, response="Empty"),
    )


# Where two paths match, the first counts: asset names hold anything, so they come last.
METHODS: tuple[Method, ...] = (
    _project_method(
        "algorithms.list", "GET", "/algorithms", "parent", response="ListAlgorithmsResponse"
    ),
    _project_method(
        "value.compute",
        "POST",
        "/value:compute",
        body="ComputeValueRequest",
        response="ComputeValueResponse",
    ),
    _project_method(
        "image.computePixels", "POST", "/image:computePixels", body="ComputePixelsRequest"
    ),
    _project_method(
        "imageCollection.computeImages",
        "POST",
        "/imageCollection:computeImages",
        body="ComputeImagesRequest",
        response="ComputeImagesResponse",
    ),
    _project_method(
        "table.computeFeatures",
        "POST",
        "/table:computeFeatures",
        body="ComputeFeaturesRequest",
        response="ComputeFeaturesResponse",
    ),
    *_rendered("thumbnails", "Thumbnail"),
    *_rendered("filmstripThumbnails", "FilmstripThumbnail"),
    *_rendered("videoThumbnails", "VideoThumbnail"),
    *_rendered("tables", "Table", "getFeatures"),
    _project_method(
        "maps.create",
        "POST",
        "/maps",
        "parent",
        query=_TAG,
        body="EarthEngineMap",
        response="EarthEngineMap",
    ),
    _tile("maps"),
    *(
        _project_method(
            f"{resource}.create",
            "POST",
            f"/{resource}",
            "parent",
            body="FeatureView",
            response="FeatureView",
        )
        for resource in ("featureView", "featureViews")
    ),
    _tile("featureViews"),
    _project_method(
        "listAssets",
        "GET",
        ":listAssets",
        "parent",
        query={**_LISTING, "view": "EarthEngineAssetView"},
        response="ListAssetsResponse",
    ),
    Method(
        "projects.getConfig",
        "GET",
        "v1/{+name}",
        {"name": _CONFIG},
        response="ProjectConfig",
    ),
    _project_method(
        "operations.list",
        "GET",
        "/operations",
        "name",
        query={**_LISTING, "returnPartialSuccess": "boolean"},
        response="ListOperationsResponse",
    ),
    Method(
        "projects.operations.get",
        "GET",
        "v1/{+name}",
        {"name": _OPERATION},
        response="Operation",
    ),
    Method(
        "projects.assets.getPixels",
        "POST",
        "v1/{+name}:getPixels",
        {"name": _ASSET},
        body="GetPixelsRequest",
    ),
    Method(
        "projects.assets.listAssets",
        "GET",
        "v1/{+parent}:listAssets",
        {"parent": _ASSET},
        {**_LISTING, "view": "EarthEngineAssetView"},
        response="ListAssetsResponse",
    ),
    Method(
        "projects.assets.listFeatures",
        "GET",
        "v1/{+asset}:listFeatures",
        {"asset": _ASSET},
        {**_LISTING, "region": "string"},
        response="ListFeaturesResponse",
    ),
    Method(
        "projects.assets.get",
        "GET",
        "v1/{+name}",
        {"name": _ASSET},
        response="EarthEngineAsset",
    ),
    *_exports(),
    *_asset_changes(),
    Method(
        "projects.operations.cancel",
        "POST",
        "v1/{+name}:cancel",
        {"name": _OPERATION},
        body="CancelOperationRequest",
        response="Empty",
    ),
    Method(
        "projects.updateConfig",
        "PATCH",
        "v1/{+name}",
        {"name": _CONFIG},
        {"updateMask": "string"},
        "ProjectConfig",
        "ProjectConfig",
    ),
)


def route(verb: str, path: str) -> tuple[Method, dict[str, str]]:
    """Return the method of a (decoded) path, and its path parameters.

    Raises
    ------
    EarthEngineError
        404: there is none. 400: it would start a batch task.
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


# Query parameters that every Google API takes.
STANDARD_QUERY: Mapping[str, str] = {
    "$.xgafv": "string",
    "access_token": "string",
    "alt": "string",
    "callback": "string",
    "fields": "string",
    "key": "string",
    "oauth_token": "string",
    "prettyPrint": "boolean",
    "quotaUser": "string",
    "uploadType": "string",
    "upload_protocol": "string",
}
