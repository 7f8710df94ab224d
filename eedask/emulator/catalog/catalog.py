"""The catalogue: all assets of the emulator by id, built in or mounted by the user."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Never

from eedask.emulator.catalog import builtin, descriptions
from eedask.emulator.catalog.assets import Asset, CollectionAsset, ImageAsset, TableAsset
from eedask.emulator.errors import EarthEngineError
from eedask.emulator.pixels.raster import Image
from eedask.emulator.values.value_types import EVERYTHING, Collection, Query

ASSET_PROJECTS = ("earthengine-public", "earthengine-legacy")
"""Projects of public assets, whose ids are written without the project."""

_PUBLIC = tuple(f"projects/{name}/assets/" for name in ASSET_PROJECTS)
_HOMES = "projects/earthengine-legacy/assets"
_GONE = "not found (does not exist or caller does not have access)."


class Catalog:
    """All assets that can be loaded, by id.

    Built-in assets are made when they are first loaded, so a catalogue is cheap to construct. It
    is pickled as its mounts.

    Parameters
    ----------
    mounts : mapping, optional
        Asset id to path. A raster becomes an image, a folder of rasters an image collection
        (whose images are ``ID/stem``), a vector file a table. A mounted asset hides a built-in
        one of the same id.

    Raises
    ------
    ValueError
        If a mounted path is missing or unreadable.
    """

    def __init__(self, mounts: Mapping[str, str | Path] | None = None) -> None:
        self._mounts = {plain_id(key): Path(path) for key, path in (mounts or {}).items()}
        self._assets: dict[str, Asset] = {
            **builtin.assets(),
            **_mounted(self._mounts),
        }

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self._mounts,))

    def load_image(self, asset_id: str) -> Image:
        """Return the image of an asset's id.

        Raises
        ------
        EarthEngineError
            400 if no asset has this id, or it is of another kind.
        """
        image = self._image(plain_id(asset_id))
        if image is None:
            self._refuse("Image.load", asset_id, "Image")
        return image

    def load_collection(self, asset_id: str) -> Collection:
        """Return an image collection; raises as :meth:`load_image`."""
        asset = self._assets.get(plain_id(asset_id))
        if not isinstance(asset, CollectionAsset):
            self._refuse("ImageCollection.load", asset_id, "ImageCollection")
        return asset.load()

    def load_table(self, asset_id: str) -> Collection:
        """Return a table of features; raises as :meth:`load_image`."""
        asset = self._assets.get(plain_id(asset_id))
        if not isinstance(asset, TableAsset):
            self._refuse("Collection.loadTable", asset_id, "Collection")
        return asset.load()

    def asset(self, asset_id: str) -> dict[str, Any]:
        """Return an asset's description, an ``EarthEngineAsset`` of the REST API.

        Raises
        ------
        EarthEngineError
            404 if there is none of this id.
        """
        name = plain_id(asset_id)
        asset = self._assets.get(name)
        if isinstance(asset, CollectionAsset):
            return descriptions.describe_collection(name, asset.load())
        if isinstance(asset, TableAsset):
            size = None if asset.size is None else asset.size()
            return descriptions.describe_table(name, asset.load(), size)
        image = self._image(name)
        if image is not None:
            return descriptions.describe_image(image)
        if self._is_folder(name):
            return descriptions.describe("FOLDER", name, {})
        raise EarthEngineError(f"Asset '{asset_id}' {_GONE}", HTTPStatus.NOT_FOUND)

    def is_collection(self, asset_id: str) -> bool:
        """Whether this is the id of an image collection."""
        return isinstance(self._assets.get(plain_id(asset_id)), CollectionAsset)

    def list_assets(self, parent: str, query: Query = EVERYTHING) -> Iterator[dict[str, Any]]:
        """Yield the descriptions of the images of a collection, or of the assets in a folder.

        Parameters
        ----------
        parent : str
            The id of an image collection, or a folder, which is a prefix of ids:
            ``projects/P/assets``, ``FAO/GAUL``.
        query : Query
            Images of a collection that it excludes are left out.

        Raises
        ------
        EarthEngineError
            404 if there is none of this id, 400 if it is an image or a table.
        """
        if parent.rstrip("/") == _HOMES:
            return (self.asset(child) for child in self._children("users"))
        name = plain_id(parent)
        asset = self._assets.get(name)
        if isinstance(asset, CollectionAsset):
            images = asset.load().elements(query)
            return (descriptions.describe_image(image) for image in images)
        if asset is not None:
            raise EarthEngineError(f"Asset '{parent}' is not a folder or an image collection.")
        if not self._is_folder(name):
            raise EarthEngineError(f"Asset '{parent}' {_GONE}", HTTPStatus.NOT_FOUND)
        return (self.asset(child) for child in self._children(name))

    def _image(self, name: str) -> Image | None:
        asset = self._assets.get(name)
        if isinstance(asset, ImageAsset):
            return asset.load()
        parent, _, index = name.rpartition("/")
        collection = self._assets.get(parent)
        return collection.image(index) if isinstance(collection, CollectionAsset) else None

    def _refuse(self, algorithm: str, asset_id: str, kind: str) -> Never:
        name = plain_id(asset_id)
        if name in self._assets or self._image(name) is not None:
            article = "an" if kind.startswith("I") else "a"
            raise EarthEngineError(f"{algorithm}: Asset '{asset_id}' is not {article} {kind}.")
        raise EarthEngineError(f"{algorithm}: {kind} asset '{asset_id}' {_GONE}")

    def _is_folder(self, name: str) -> bool:
        """Whether this is a folder: a prefix of ids, or a project's own folder, even if empty."""
        if name.startswith("projects/") and name.endswith("/assets") and name.count("/") == 2:
            return True
        return any(known.startswith(f"{name}/") for known in self._assets) or not name

    def _children(self, name: str) -> list[str]:
        """Return the ids of the assets and folders directly below."""
        prefix = f"{name}/" if name else ""
        below = [known for known in self._assets if known.startswith(prefix)]
        if not name:
            below = [known for known in below if not known.startswith(("projects/", "users/"))]
        return sorted({prefix + known[len(prefix) :].split("/", 1)[0] for known in below})


def _mounted(mounts: Mapping[str, Path]) -> dict[str, Asset]:
    if not mounts:
        return {}
    # Imported here because the readers of all file formats take most of a second to import.
    from eedask.emulator.catalog.mounts.mounts import mount

    return {asset_id: mount(asset_id, path) for asset_id, path in mounts.items()}


def plain_id(asset_id: str) -> str:
    """Return an id without the project of public assets and without a trailing slash."""
    name = asset_id.rstrip("/")
    for prefix in _PUBLIC:
        if name.startswith(prefix):
            return name[len(prefix) :]
        if name == prefix.rstrip("/"):
            return ""
    return name
