"""The methods of assets: listing and describing them, and reading their pixels and features.

https://developers.google.com/earth-engine/reference/rest/v1/projects.assets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from eedask.emulator.answers import Answer, json_answer
from eedask.emulator.catalog import Catalog
from eedask.emulator.catalog.descriptions import describe, describe_image
from eedask.emulator.errors import EarthEngineError
from eedask.emulator.output.rendering import ASSET_PIXELS, prepare
from eedask.emulator.pixels.raster import Image
from eedask.emulator.rest.calls import Call, Handler, feature_page, with_token
from eedask.emulator.rest.listing import parse_filter
from eedask.emulator.rest.listing_terms import Condition, every, intersecting, parse_region
from eedask.emulator.rest.paging import Paged, Pager, page_size
from eedask.emulator.values.info import feature_json

_PAGE = {"BASIC": 10000}
_PAGE_FULL = 1000
# After this time a page ends early, as may happen if a filter keeps few of many assets. The
# reference allows it: "The server may return fewer assets than requested".
_PATIENCE_S = 20.0


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
        """Return the function that answers each method, by the method's id."""
        return {
            "projects.listAssets": self._list,
            "projects.assets.listAssets": self._list,
            "projects.assets.listFeatures": self._features,
            "projects.assets.get": self._get,
            "projects.assets.getPixels": self._pixels,
            "projects.featureView.create": self._feature_view,
            "projects.featureViews.create": self._feature_view,
        }

    def _list(self, call: Call) -> Answer:
        parent = call.path["parent"].rstrip("/")
        if call.method.id == "projects.listAssets":
            parent += "/assets"
        view = call.query.get("view", "FULL")
        most = _PAGE.get(view, _PAGE_FULL)
        # Filters apply to image collections only.
        images = self._catalog.is_collection(parent)
        text = call.query.get("filter") if images else None
        listed = self._images(parent, view, text) if images else self._folder(parent, view)
        size = page_size(call.query.get("pageSize"), most, most)
        with _Resource(parent):
            query = ["listAssets", parent, view, text]
            page = self._pager.page(query, size, call.query.get("pageToken"), listed)
        # An empty list is left out, as all default values are in this API.
        assets = {"assets": page.elements} if page.elements else {}
        return json_answer(with_token(assets, page.next_token))

    def _images(self, parent: str, view: str, text: str | None) -> Paged:
        """Return a collection's images; properties are computed only if the view shows them."""
        keeps = parse_filter(text)
        return Paged(
            lambda: self._catalog.load_collection(parent).elements(keeps.hint),
            keeps,
            _basic_image if view == "BASIC" else describe_image,
            _PATIENCE_S,
        )

    def _folder(self, parent: str, view: str) -> Paged:
        return Paged(
            lambda: self._catalog.list_assets(parent),
            show=_basic if view == "BASIC" else dict,
        )

    def _features(self, call: Call) -> Answer:
        name, region = call.path["asset"], call.query.get("region")
        keeps = parse_filter(call.query.get("filter"))
        if region:
            keeps = every([keeps, Condition(intersecting(parse_region(region)))])

        def start() -> Iterator[Any]:
            with _Resource(name):
                return self._catalog.load_table(name).elements()

        query = ["listFeatures", name, region, call.query.get("filter")]
        listed = Paged(start, keeps, feature_json, _PATIENCE_S)
        return feature_page(self._pager, query, call.query, listed)

    def _get(self, call: Call) -> Answer:
        with _Resource(call.path["name"]):
            return json_answer(self._catalog.asset(call.path["name"]))

    def _pixels(self, call: Call) -> Answer:
        with _Resource(call.path["name"]):
            image = self._catalog.load_image(call.path["name"])
        return prepare(image, call.body, ASSET_PIXELS).answer()

    def _feature_view(self, call: Call) -> Answer:
        """Refuse the request: it needs a FeatureView asset, and the emulator has none."""
        name = call.body["asset"]
        with _Resource(name):
            kind = self._catalog.asset(name)["type"]
        raise EarthEngineError(
            f"Asset '{name}' is not a FeatureView but a {kind}. "
            "The eedask emulator has no FeatureView assets; tables can be styled and shown as maps."
        )


class _Resource:
    """A context in which a missing asset, an error 400 in expressions, becomes a 404."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, EarthEngineError) and "not found" in error.message:
            words = f"Asset '{self._name}' does not exist or doesn't allow this operation."
            raise EarthEngineError(words, 404) from error


def _basic(asset: Mapping[str, Any]) -> dict[str, Any]:
    return {key: asset[key] for key in ("type", "name", "id") if key in asset}


def _basic_image(image: Image) -> dict[str, Any]:
    return _basic(describe("IMAGE", image.id or "", {}))
