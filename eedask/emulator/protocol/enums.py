"""The enums of the REST API v1, as a table.

Source: https://developers.google.com/earth-engine/reference/rest/v1/.
"""

from __future__ import annotations

from collections.abc import Mapping

from eedask.emulator.protocol.schema_types import Enum

_ENUMS = (
    Enum(
        "ImageFileFormat",
        (
            "IMAGE_FILE_FORMAT_UNSPECIFIED",
            "JPEG",
            "PNG",
            "AUTO_JPEG_PNG",
            "NPY",
            "GEO_TIFF",
            "TF_RECORD_IMAGE",
            "ZIPPED_GEO_TIFF",
            "ZIPPED_GEO_TIFF_PER_BAND",
        ),
    ),
    # The client sends "JSON" for getDownloadURL("json"), which is documented to give GeoJSON,
    # and "TF_RECORD"; whether the service takes them under these names is a guess.
    Enum(
        "TableFileFormat",
        (
            "TABLE_FILE_FORMAT_UNSPECIFIED",
            "CSV",
            "GEO_JSON",
            "KML",
            "KMZ",
            "SHP",
            "TF_RECORD_TABLE",
        ),
        {"JSON": "GEO_JSON", "TF_RECORD": "TF_RECORD_TABLE"},
    ),
    Enum("VideoFileFormat", ("VIDEO_FILE_FORMAT_UNSPECIFIED", "MP4", "GIF", "VP9")),
    Enum("Orientation", ("ORIENTATION_UNSPECIFIED", "HORIZONTAL", "VERTICAL")),
    Enum(
        "EarthEngineAssetView",
        ("EARTH_ENGINE_ASSET_VIEW_UNSPECIFIED", "FULL", "BASIC"),
    ),
    Enum(
        "AssetType",
        (
            "TYPE_UNSPECIFIED",
            "IMAGE",
            "IMAGE_COLLECTION",
            "TABLE",
            "FOLDER",
            "CLASSIFIER",
            "FEATURE_VIEW",
        ),
    ),
    Enum(
        "TilesetDataType",
        (
            "DATA_TYPE_UNSPECIFIED",
            "INT8",
            "UINT8",
            "INT16",
            "UINT16",
            "INT32",
            "UINT32",
            "FLOAT",
            "DOUBLE",
        ),
    ),
    Enum("Precision", ("PRECISION_UNSPECIFIED", "INT", "FLOAT", "DOUBLE")),
    Enum(
        "PyramidingPolicy",
        (
            "PYRAMIDING_POLICY_UNSPECIFIED",
            "MEAN",
            "SAMPLE",
            "MIN",
            "MAX",
            "MODE",
            "MEDIAN",
        ),
    ),
    Enum(
        "RegistrationState",
        (
            "REGISTRATION_STATE_UNSPECIFIED",
            "NOT_REGISTERED",
            "REGISTERED_COMMERCIALLY",
            "REGISTERED_NOT_COMMERCIALLY",
        ),
    ),
)
ENUMS: Mapping[str, Enum] = {enum.name: enum for enum in _ENUMS}
