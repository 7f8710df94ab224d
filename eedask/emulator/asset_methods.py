"""The methods of assets: what there is, of what it consists, and its pixels and features.

https://developers.google.com/earth-engine/reference/rest/v1/projects.assets.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

from eedask.emulator.answers import Answer, json_answer
from eedask.emulator.calls import Call, Handler, feature_page, with_token
from eedask.emulator.catalog import Catalog
from eedask.emulator.errors import EarthEngineError
from eedask.emulator.info import feature_json
from eedask.emulator.listing import parse_filter, parse_region
from eedask.emulator.paging import Pager, page_size
from eedask.emulator.rendering import ASSET_PIXELS, prepare

_PAGE = {"BASIC": 10000}
_PAGE_FULL = 1000


class AssetMethods:
    """Answers requests for assets.

    Parameters
    ----------
    catalog : Catalog
    pager : Pager
    """

    def __init__(self, catalog: Catalog, pager: Pager) -> None:
        self._catalog = catalog
        self._pager = pager

    def handlers(self) -> Mapping[str, Handler]:
        """Return what answers which method."""
        return {
            "projects.listAssets": self._list,
            "projects.assets.listAssets": self._list,
            "projects.assets.listFeatures": self._features,
            "projects.assets.get": self._get,
            "projects.assets.getPixels": self._pixels,
        }

    def _list(self, call: Call) -> Answer:
        parent = call.path["parent"].rstrip("/")
        if call.method.id == "projects.listAssets":
            parent += "/assets"
        view = call.query.get("view", "FULL")
        most = _PAGE.get(view, _PAGE_FULL)
        # Folders are listed whole: filters are for collections.
        text = call.query.get("filter") if self._catalog.is_collection(parent) else None
        keeps = parse_filter(text)

        def start() -> Iterator[dict[str, Any]]:
            return filter(keeps, self._catalog.list_assets(parent, keeps.hint))

        size = page_size(call.query.get("pageSize"), most, most)
        with _Resource(parent):
            page = self._pager.page(
                ["listAssets", parent, view, text], size, call.query.get("pageToken"), start
            )
        assets = [_basic(asset) for asset in page.elements] if view == "BASIC" else page.elements
        # Empty lists are left out, like all that is not said.
        return json_answer(with_token({"assets": assets} if assets else {}, page.next_token))

    def _features(self, call: Call) -> Answer:
        name, region = call.path["asset"], call.query.get("region")
        keeps = parse_filter(call.query.get("filter"))
        box = parse_region(region) if region else None

        def start() -> Iterator[dict[str, Any]]:
            with _Resource(name):
                table = self._catalog.load_table(name)
            features = (feature_json(element) for element in table.elements())
            kept = filter(keeps, features)
            return kept if box is None else filter(_intersecting(box), kept)

        query = ["listFeatures", name, region, call.query.get("filter")]
        return feature_page(self._pager, query, call.query, start)

    def _get(self, call: Call) -> Answer:
        with _Resource(call.path["name"]):
            return json_answer(self._catalog.asset(call.path["name"]))

    def _pixels(self, call: Call) -> Answer:
        with _Resource(call.path["name"]):
            image = self._catalog.load_image(call.path["name"])
        return prepare(image, call.body, ASSET_PIXELS).answer()


class _Resource:
    """Turns a missing asset, 400 inside an expression, into the 404 of a missing resource."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, EarthEngineError) and "not found" in error.message:
            words = f"Asset '{self._name}' does not exist or doesn't allow this operation."
            raise EarthEngineError(words, 404) from error


def _intersecting(region: BaseGeometry) -> Callable[[Mapping[str, Any]], bool]:
    def keep(feature: Mapping[str, Any]) -> bool:
        geometry = feature.get("geometry")
        return geometry is not None and bool(
            shapely.from_geojson(json.dumps(geometry)).intersects(region)
        )

    return keep


def _basic(asset: Mapping[str, Any]) -> dict[str, Any]:
    return {key: asset[key] for key in ("type", "name", "id") if key in asset}
