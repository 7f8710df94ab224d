"""The core: an HTTP request to an answer, without HTTP.

:class:`Core` finds the method of a path, checks the request against the API's tables, computes,
and puts what comes out into the form of the REST API v1. Whatever is wrong with the request is
answered as Earth Engine's error JSON. Servers and pools are elsewhere.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

import shapely
from shapely.geometry.base import BaseGeometry

import eedask.emulator.functions  # noqa: F401  (registers the algorithms)
from eedask.emulator.accounting import Usage
from eedask.emulator.answer_size import check_json, check_value
from eedask.emulator.answers import Answer, error_answer, json_answer
from eedask.emulator.api import Method, route
from eedask.emulator.catalog import Catalog
from eedask.emulator.catalog.descriptions import describe_image
from eedask.emulator.discovery import algorithms_json, discovery_document
from eedask.emulator.errors import EarthEngineError, NotSupported
from eedask.emulator.expression import Context, evaluate
from eedask.emulator.fields import select_fields
from eedask.emulator.film import Filmstrip, Video, prepare_filmstrip, prepare_video
from eedask.emulator.info import feature_json, to_info, too_deep
from eedask.emulator.interrupting import processor_time
from eedask.emulator.listing import parse_filter, parse_region
from eedask.emulator.metering import Budget, MemoryLimit, current, metered
from eedask.emulator.paging import Pager, page_size
from eedask.emulator.profiles import RESPONSE_HEADER, profile_of
from eedask.emulator.raster import Image
from eedask.emulator.rendering import ASSET_PIXELS, PIXELS, THUMBNAIL, prepare
from eedask.emulator.store import Store
from eedask.emulator.tables import table_answer
from eedask.emulator.tiles import tile_grid
from eedask.emulator.validation import parse_body, parse_query
from eedask.emulator.values import Collection

logger = logging.getLogger(__name__)

MAX_PAYLOAD = 10485760
_FEATURES_PAGE = 1000
_ASSETS_PAGE = {"BASIC": 10000}
_ASSETS_PAGE_FULL = 1000
_FILMS: Mapping[str, Callable[[Collection, Mapping[str, Any]], Filmstrip | Video]] = {
    "filmstripThumbnails": prepare_filmstrip,
    "videoThumbnails": prepare_video,
}


@dataclass(frozen=True)
class Call:
    """A checked request: path and query parameters, and the fields of its body."""

    method: Method
    path: Mapping[str, str]
    query: Mapping[str, Any]
    body: dict[str, Any]


class Core:
    """Answers requests.

    Parameters
    ----------
    catalog : Catalog
    store : Store
        Where ids of thumbnails and tables are kept.
    project : str, optional
        The one project there is; None: every project is.
    root_url : str
        What the discovery document says of where the server is.
    budget : Budget, optional
        What each request may take.
    """

    def __init__(
        self,
        catalog: Catalog,
        store: Store,
        *,
        project: str | None = None,
        root_url: str = "http://127.0.0.1/",
        budget: Budget | None = None,
    ) -> None:
        self._budget = budget or Budget()
        self._catalog = catalog
        self._store = store
        self._project = project
        self._root_url = root_url
        self._pager = Pager()
        self._handlers: Mapping[str, Callable[[Call], Answer]] = {
            "projects.algorithms.list": self._algorithms,
            "projects.value.compute": self._compute_value,
            "projects.image.computePixels": self._compute_pixels,
            "projects.table.computeFeatures": self._compute_features,
            "projects.thumbnails.create": self._create_thumbnail,
            "projects.thumbnails.getPixels": self._thumbnail_pixels,
            "projects.filmstripThumbnails.create": self._create_film,
            "projects.filmstripThumbnails.getPixels": self._film_pixels,
            "projects.videoThumbnails.create": self._create_film,
            "projects.videoThumbnails.getPixels": self._film_pixels,
            "projects.imageCollection.computeImages": self._compute_images,
            "projects.tables.create": self._create_table,
            "projects.tables.getFeatures": self._table_features,
            "projects.maps.create": self._create_map,
            "projects.maps.tiles.get": self._map_tile,
            "projects.listAssets": self._list_assets,
            "projects.assets.listAssets": self._list_assets,
            "projects.assets.listFeatures": self._list_features,
            "projects.assets.get": self._get_asset,
            "projects.assets.getPixels": self._get_pixels,
            "projects.getConfig": self._config,
            "projects.operations.list": self._operations,
            "projects.operations.get": self._operation,
        }

    def answer(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        profiling: bool = False,
    ) -> Answer:
        """Answer a request; never raises.

        Parameters
        ----------
        method : str
            The HTTP method.
        path : str
            Of the URL, percent-encoded or not.
        query : mapping, optional
            Query parameters, decoded.
        body : bytes
            Decompressed.
        profiling : bool
            Whether the answer's headers are to have the id of a profile.
        """
        with metered(self._budget) as meter:
            answer = self._guarded(method, path, query or {}, body)
        usage = Usage(meter.eecu_seconds, meter.peak, meter.tag)
        headers = answer.headers
        if profiling:
            profile = self._store.put("profiles", {"rows": profile_of(meter)})
            headers = {**headers, RESPONSE_HEADER: profile}
        return replace(answer, headers=headers, usage=usage)

    def _guarded(self, method: str, path: str, query: Mapping[str, str], body: bytes) -> Answer:
        try:
            with processor_time(self._budget.processor_seconds):
                return self._answer(method, unquote(path), query, body)
        except EarthEngineError as error:
            return error_answer(error)
        except MemoryError:
            return error_answer(MemoryLimit())
        except RecursionError:
            return error_answer(too_deep())
        except Exception as error:
            logger.exception("%s %s failed", method, path)
            # 400 though the fault is ours: a client would retry a 500, in vain.
            words = f"Internal error of the eedask emulator: {type(error).__name__}: {error}"
            return error_answer(EarthEngineError(words))

    def _answer(self, verb: str, path: str, query: Mapping[str, str], body: bytes) -> Answer:
        if len(body) > MAX_PAYLOAD:
            raise EarthEngineError(f"Request payload size exceeds the limit: {MAX_PAYLOAD} bytes.")
        if (verb, path) == ("GET", "/$discovery/rest"):
            return json_answer(discovery_document(self._root_url))
        method, parameters = route(verb, path)
        self._check_project(parameters)
        handler = self._handlers.get(method.id)
        if handler is None:
            raise NotSupported(method.id)
        if query.get("alt", "json") not in ("json", "media"):
            raise NotSupported(f"alt={query['alt']}")
        fields = parse_body(body, method.body) if method.body else {}
        call = Call(method, parameters, parse_query(query, method), fields)
        _tag(call.query.get("workloadTag") or fields.get("workloadTag"))
        answer = handler(call)
        if mask := query.get("fields"):
            return json_answer(select_fields(json.loads(answer.body), mask))
        return answer

    def _check_project(self, parameters: Mapping[str, str]) -> None:
        for resource in parameters.values():
            parts = resource.split("/")
            if self._project is None or parts[0] != "projects" or parts[2:3] == ["assets"]:
                continue
            if parts[1] != self._project:
                raise EarthEngineError(
                    f"Caller does not have required permission to use project {parts[1]}. "
                    f"(The emulator's project is {self._project}.)",
                    403,
                )

    # What a value, an image and a table of an expression are.

    def _evaluate(self, call_body: Mapping[str, Any]) -> Any:
        return evaluate(call_body["expression"], Context(self._catalog, self._profile))

    def _profile(self, key: str) -> list[Any]:
        return self._store.get("profiles", key)["rows"]

    def _image(self, call_body: Mapping[str, Any]) -> Image:
        value = self._evaluate(call_body)
        if not isinstance(value, Image):
            raise EarthEngineError("The expression does not evaluate to an image.")
        return value

    def _images(self, call_body: Mapping[str, Any]) -> Collection:
        value = self._evaluate(call_body)
        if not isinstance(value, Collection):
            raise EarthEngineError("The expression does not evaluate to a collection of images.")
        return value

    def _features(self, call_body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        value = self._evaluate(call_body)
        if not isinstance(value, Collection):
            raise EarthEngineError("The expression does not evaluate to a collection of features.")
        return (feature_json(element) for element in value.elements())

    # Methods.

    def _algorithms(self, _: Call) -> Answer:
        answer = json_answer(None)
        return Answer(200, answer.headers, algorithms_json())

    def _compute_value(self, call: Call) -> Answer:
        value = self._evaluate(call.body)
        check_value(value)
        answer = json_answer({"result": to_info(value)})
        check_json(answer.body)
        return answer

    def _compute_pixels(self, call: Call) -> Answer:
        return prepare(self._image(call.body), call.body, PIXELS).answer()

    def _compute_features(self, call: Call) -> Answer:
        body = call.body
        return self._feature_page(
            ["computeFeatures", body["expression"]], body, lambda: self._features(body)
        )

    def _compute_images(self, call: Call) -> Answer:
        body = call.body

        def start() -> Iterator[dict[str, Any]]:
            return map(_described, self._images(body).elements())

        query = ["computeImages", body["expression"]]
        size = page_size(body.get("pageSize"), _FEATURES_PAGE)
        page = self._pager.page(query, size, body.get("pageToken"), start)
        images = {"images": page.elements} if page.elements else {}
        return json_answer(_with_token(images, page.next_token))

    def _feature_page(
        self, query: Any, paging: Mapping[str, Any], start: Callable[[], Iterator[Any]]
    ) -> Answer:
        size = page_size(paging.get("pageSize"), _FEATURES_PAGE)
        page = self._pager.page(query, size, paging.get("pageToken"), start)
        result = {"type": "FeatureCollection", "features": page.elements}
        return json_answer(_with_token(result, page.next_token))

    def _create_thumbnail(self, call: Call) -> Answer:
        # Earth Engine refuses what is too large when the id is asked for, not when it is used.
        prepare(self._image(call.body), call.body, THUMBNAIL)
        return self._created("thumbnails", call)

    def _thumbnail_pixels(self, call: Call) -> Answer:
        request = self._stored(call)
        return prepare(self._image(request), request, THUMBNAIL).answer()

    def _create_film(self, call: Call) -> Answer:
        kind = call.method.id.split(".")[1]
        _FILMS[kind](self._images(call.body), call.body)
        return self._created(kind, call)

    def _film_pixels(self, call: Call) -> Answer:
        request = self._stored(call)
        kind = call.method.id.split(".")[1]
        return _FILMS[kind](self._images(request), request).answer()

    def _create_table(self, call: Call) -> Answer:
        return self._created("tables", call)

    def _table_features(self, call: Call) -> Answer:
        request = self._stored(call)
        return table_answer(
            self._features(request),
            request.get("fileFormat", "CSV"),
            request.get("selectors") or [],
            request.get("filename"),
        )

    def _create_map(self, call: Call) -> Answer:
        self._image(call.body)
        return self._created("maps", call)

    def _map_tile(self, call: Call) -> Answer:
        request = self._kept("maps", call.path["parent"].rpartition("/")[2])
        zoom, x, y = (int(call.path[name]) for name in ("zoom", "x", "y"))
        tile = {**request, "grid": tile_grid(zoom, x, y)}
        return prepare(self._image(tile), tile, THUMBNAIL).answer()

    def _created(self, kind: str, call: Call) -> Answer:
        request = {name: value for name, value in call.body.items() if name != "name"}
        # What is made under a tag is fetched under it.
        tag = call.query.get("workloadTag")
        key = self._store.put(kind, {**request, "workloadTag": tag} if tag else request)
        return json_answer({"name": f"{call.path['parent']}/{kind}/{key}", **request})

    def _stored(self, call: Call) -> dict[str, Any]:
        kind, key = call.path["name"].split("/")[-2:]
        return self._kept(kind, key)

    def _kept(self, kind: str, key: str) -> dict[str, Any]:
        request = self._store.get(kind, key)
        _tag(request.get("workloadTag"))
        return request

    def _list_assets(self, call: Call) -> Answer:
        parent = call.path["parent"].rstrip("/")
        if call.method.id == "projects.listAssets":
            parent += "/assets"
        view = call.query.get("view", "FULL")
        most = _ASSETS_PAGE.get(view, _ASSETS_PAGE_FULL)
        keeps = parse_filter(call.query.get("filter"))

        def start() -> Iterator[dict[str, Any]]:
            return filter(keeps, self._catalog.list_assets(parent, keeps.hint))

        query = ["listAssets", parent, view, call.query.get("filter")]
        size = page_size(call.query.get("pageSize"), most, most)
        with _NotFound():
            page = self._pager.page(query, size, call.query.get("pageToken"), start)
        assets = [_basic(asset) for asset in page.elements] if view == "BASIC" else page.elements
        # Empty lists are left out, like all that is not said.
        return json_answer(_with_token({"assets": assets} if assets else {}, page.next_token))

    def _list_features(self, call: Call) -> Answer:
        name, region = call.path["asset"], call.query.get("region")
        keeps = parse_filter(call.query.get("filter"))
        box = parse_region(region) if region else None

        def start() -> Iterator[dict[str, Any]]:
            with _NotFound():
                table = self._catalog.load_table(name)
            features = (feature_json(element) for element in table.elements())
            kept = filter(keeps, features)
            return kept if box is None else filter(_intersecting(box), kept)

        query = ["listFeatures", name, region, call.query.get("filter")]
        return self._feature_page(query, call.query, start)

    def _get_asset(self, call: Call) -> Answer:
        with _NotFound():
            return json_answer(self._catalog.asset(call.path["name"]))

    def _get_pixels(self, call: Call) -> Answer:
        with _NotFound():
            image = self._catalog.load_image(call.path["name"])
        return prepare(image, call.body, ASSET_PIXELS).answer()

    def _config(self, call: Call) -> Answer:
        return json_answer(
            {"name": call.path["name"], "registrationState": "REGISTERED_NOT_COMMERCIALLY"}
        )

    def _operations(self, _: Call) -> Answer:
        return json_answer({})

    def _operation(self, call: Call) -> Answer:
        raise EarthEngineError(f"Operation '{call.path['name']}' not found.", 404)


class _NotFound:
    """Turns a missing asset, 400 inside an expression, into the 404 of a missing resource."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, EarthEngineError) and "not found" in error.message:
            raise EarthEngineError(error.message, 404) from error


def _described(image: Any) -> dict[str, Any]:
    """Return an image as an asset; what was computed has no name (a guess)."""
    if not isinstance(image, Image):
        raise EarthEngineError("The expression does not evaluate to a collection of images.")
    description = describe_image(image)
    if image.id is None:
        del description["name"], description["id"]
    properties = description.get("properties")
    return description if properties is None else {**description, "properties": to_info(properties)}


def _tag(tag: str | None) -> None:
    meter = current()
    if meter is not None:
        meter.tag = tag


def _with_token(result: dict[str, Any], token: str | None) -> dict[str, Any]:
    return result if token is None else {**result, "nextPageToken": token}


def _intersecting(region: BaseGeometry) -> Callable[[Mapping[str, Any]], bool]:
    def keep(feature: Mapping[str, Any]) -> bool:
        geometry = feature.get("geometry")
        return geometry is not None and bool(
            shapely.from_geojson(json.dumps(geometry)).intersects(region)
        )

    return keep


def _basic(asset: Mapping[str, Any]) -> dict[str, Any]:
    return {key: asset[key] for key in ("type", "name", "id") if key in asset}
