"""The core, which computes the answer to a request; no socket or process is involved.

:class:`Core` finds the method of a path, checks the request against the API's schemas, computes,
and returns the result in the form of the REST API v1. Errors become Earth Engine's error JSON.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

import eedask.emulator.functions  # noqa: F401  (registers the algorithms)
from eedask.emulator.answers import Answer, error_answer, json_answer
from eedask.emulator.catalog import Catalog
from eedask.emulator.catalog.catalog import ASSET_PROJECTS
from eedask.emulator.catalog.descriptions import describe_image
from eedask.emulator.errors import EarthEngineError, NotSupported
from eedask.emulator.expression.expression import Context, evaluate
from eedask.emulator.limits.accounting import Usage
from eedask.emulator.limits.answer_size import check_json, check_value
from eedask.emulator.limits.budget import Budget, MemoryLimit
from eedask.emulator.limits.capacity import too_heavy
from eedask.emulator.limits.interrupting import processor_time
from eedask.emulator.limits.metering import current, metered
from eedask.emulator.limits.profiles import profile_of
from eedask.emulator.output.film import Filmstrip, Video, prepare_filmstrip, prepare_video
from eedask.emulator.output.formats import table_format
from eedask.emulator.output.rendering import PIXELS, THUMBNAIL, prepare
from eedask.emulator.pixels.raster import Image
from eedask.emulator.protocol.api import MAX_PAYLOAD, PROFILE_HEADER, refusal, route
from eedask.emulator.protocol.discovery import algorithms_json, discovery_document
from eedask.emulator.protocol.validation import parse_body, parse_query
from eedask.emulator.readings import Readings, reading, under
from eedask.emulator.rest.asset_methods import AssetMethods
from eedask.emulator.rest.calls import ELEMENTS_PAGE, Call, Handler, feature_page, with_token
from eedask.emulator.rest.fields import select_fields
from eedask.emulator.rest.paging import Paged, Pager, page_size
from eedask.emulator.rest.store import Store
from eedask.emulator.rest.tiles import tile_grid
from eedask.emulator.values.elements import in_some_order
from eedask.emulator.values.info import feature_json, to_info, too_deep
from eedask.emulator.values.value_types import Collection

logger = logging.getLogger(__name__)

_FILMS: Mapping[str, Callable[[Collection, Mapping[str, Any]], Filmstrip | Video]] = {
    "filmstripThumbnails": prepare_filmstrip,
    "videoThumbnails": prepare_video,
}


class Core:
    """Answers requests.

    Parameters
    ----------
    catalog : Catalog
    store : Store
        Where ids of thumbnails and tables are kept.
    project : str, optional
        The only project there is; None: requests may name any project.
    root_url : str
        The server's address in the discovery document.
    budget : Budget, optional
        The limits of each request.
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
        self._handlers: Mapping[str, Handler] = {
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
            **AssetMethods(catalog, self._pager).handlers(),
            "projects.getConfig": self._config,
            "projects.operations.list": self._operations,
            "projects.operations.get": self._operation,
            "projects.operations.cancel": self._operation,
        }

    def answer(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        profiling: bool = False,
        readings: Readings | None = None,
    ) -> Answer:
        """Return the answer to a request. Errors become answers too; none is raised.

        Parameters
        ----------
        method : str
            The HTTP method.
        path : str
            The URL's path, percent-encoded or not.
        query : mapping, optional
            The decoded query parameters.
        body : bytes
            The decompressed body.
        profiling : bool
            Whether the answer's headers have the id of a profile.
        readings : Readings, optional
            The readings that hold for the answer; the defaults when not given.
        """
        readings = readings or Readings()
        with metered(self._budget) as meter, under(readings):
            answer = self._guarded(method, path, query or {}, body)
        usage = Usage(meter.eecu_seconds, meter.peak, meter.tag)
        headers = answer.headers
        if profiling and readings["profiles"] != "absent":
            profile = self._store.put("profiles", {"rows": profile_of(meter)})
            headers = {**headers, PROFILE_HEADER: profile}
        return Answer(answer.status, headers, answer.body, usage)

    def _guarded(self, method: str, path: str, query: Mapping[str, str], body: bytes) -> Answer:
        try:
            with processor_time(self._budget.processor_seconds):
                return self._answer(method, unquote(path), query, body)
        except EarthEngineError as error:
            return error_answer(too_heavy(error))
        except MemoryError:
            return error_answer(too_heavy(MemoryLimit()))
        except RecursionError:
            return error_answer(too_deep())
        except Exception as error:
            logger.exception("%s %s failed", method, path)
            # A fault of the emulator, but with status 400: clients would retry a 500 in vain.
            words = f"Internal error of the eedask emulator: {type(error).__name__}: {error}"
            return error_answer(EarthEngineError(words))

    def _answer(self, verb: str, path: str, query: Mapping[str, str], body: bytes) -> Answer:
        if len(body) > MAX_PAYLOAD:
            raise EarthEngineError(f"Request payload size exceeds the limit: {MAX_PAYLOAD} bytes.")
        if (verb, path) == ("GET", "/$discovery/rest"):
            return json_answer(discovery_document(self._root_url))
        method, parameters = route(verb, path)
        self._check_project(method.id, parameters)
        handler = self._handlers.get(method.id)
        if handler is None:
            raise refusal(method, path)
        if query.get("alt", "json") not in ("json", "media"):
            raise NotSupported(f"alt={query['alt']}")
        fields = parse_body(body, method.body) if method.body else {}
        call = Call(method, parameters, parse_query(query, method), fields)
        _tag(call.query.get("workloadTag") or fields.get("workloadTag"))
        answer = handler(call)
        if mask := query.get("fields"):
            return json_answer(select_fields(json.loads(answer.body), mask))
        return answer

    def _check_project(self, method: str, parameters: Mapping[str, str]) -> None:
        for resource in parameters.values():
            parts = resource.split("/")
            if self._project is None or parts[0] != "projects" or parts[2:3] == ["assets"]:
                continue
            if method == "projects.listAssets" and parts[1] in ASSET_PROJECTS:
                continue
            if parts[1] != self._project:
                raise EarthEngineError(
                    f"Caller does not have required permission to use project {parts[1]}. "
                    f"(The emulator's project is {self._project}.)",
                    403,
                )

    # Evaluating a request's expression to a value, an image or a table.

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
        query = ["computeFeatures", body["expression"]]
        is_short = reading("pages") == "short"
        paged = Paged(lambda: in_some_order(self._features(body)), is_short=is_short)
        return feature_page(self._pager, query, body, paged)

    def _compute_images(self, call: Call) -> Answer:
        body = call.body

        images = Paged(lambda: self._images(body).elements(), show=_described)
        query = ["computeImages", body["expression"]]
        size = page_size(body.get("pageSize"), ELEMENTS_PAGE)
        page = self._pager.page(query, size, body.get("pageToken"), images)
        found = {"images": page.elements} if page.elements else {}
        return json_answer(with_token(found, page.next_token))

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
        selectors, filename = request.get("selectors") or [], request.get("filename")
        return table_format(request).answer(self._features(request), selectors, filename)

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
        # The cost of fetching a created object is charged to the workload tag it was created with.
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

    def _config(self, call: Call) -> Answer:
        return json_answer(
            {"name": call.path["name"], "registrationState": "REGISTERED_NOT_COMMERCIALLY"}
        )

    def _operations(self, _: Call) -> Answer:
        return json_answer({})

    def _operation(self, call: Call) -> Answer:
        raise EarthEngineError(f"Operation '{call.path['name']}' not found.", 404)


def _described(image: Any) -> dict[str, Any]:
    """Return an image's description as an asset; a computed image has no name (a guess)."""
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
