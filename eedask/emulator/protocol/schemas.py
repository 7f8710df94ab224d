"""The messages of the REST API v1, as a table; its enums are in ``enums``.

Request checks (:mod:`~eedask.emulator.protocol.validation`) and the discovery document
(:mod:`~eedask.emulator.protocol.discovery`) are made from them.
Source: https://developers.google.com/earth-engine/reference/rest/v1/.
"""

from __future__ import annotations

from collections.abc import Mapping

from eedask.emulator.protocol.schema_types import FieldType, Message


def _message(
    name: str,
    oneof: tuple[str, tuple[str, ...]] | None = None,
    /,
    required: str = "",
    needs: str = "",
    **fields: str,
) -> Message:
    return Message(
        name,
        {key: FieldType.parse(text) for key, text in fields.items()},
        dict([oneof] if oneof else []),
        tuple(required.split()),
        oneof[1] if oneof and oneof[0] == needs else (),
    )


_NODE_KINDS = {
    "constantValue": "value",
    "integerValue": "int64",
    "bytesValue": "bytes",
    "arrayValue": "ArrayValue",
    "dictionaryValue": "DictionaryValue",
    "functionDefinitionValue": "FunctionDefinition",
    "functionInvocationValue": "FunctionInvocation",
    "argumentReference": "string",
    "valueReference": "string",
}
_PICTURE = {
    "expression": "Expression",
    "fileFormat": "ImageFileFormat",
    "bandIds": "[string]",
    "visualizationOptions": "VisualizationOptions",
}
_PIXELS = {**_PICTURE, "grid": "PixelGrid", "workloadTag": "string"}
_PAGE = {"pageSize": "int32", "pageToken": "string"}
_FEATURES = {"type": "string", "features": "[Feature]", "nextPageToken": "string"}

_MESSAGES = (
    _message("Expression", required="values result", values="{ValueNode}", result="string"),
    _message("ValueNode", ("kind", tuple(_NODE_KINDS)), needs="kind", **_NODE_KINDS),
    _message("ArrayValue", values="[ValueNode]"),
    _message("DictionaryValue", values="{ValueNode}"),
    _message("FunctionDefinition", argumentNames="[string]", body="string", required="body"),
    _message(
        "FunctionInvocation",
        ("function", ("functionName", "functionReference")),
        needs="function",
        functionName="string",
        functionReference="string",
        arguments="{ValueNode}",
    ),
    _message(
        "ComputeValueRequest",
        required="expression",
        expression="Expression",
        workloadTag="string",
    ),
    _message("ComputeValueResponse", result="value"),
    _message("ComputePixelsRequest", required="expression", **_PIXELS),
    _message(
        "GetPixelsRequest",
        region="object",
        **{name: text for name, text in _PIXELS.items() if name != "expression"},
    ),
    _message(
        "PixelGrid",
        ("crs", ("crsCode", "crsWkt")),
        dimensions="GridDimensions",
        affineTransform="AffineTransform",
        crsCode="string",
        crsWkt="string",
    ),
    _message(
        "AffineTransform",
        scaleX="number",
        shearX="number",
        translateX="number",
        shearY="number",
        scaleY="number",
        translateY="number",
    ),
    _message("GridDimensions", width="int32", height="int32"),
    _message("DoubleRange", min="number", max="number"),
    _message(
        "VisualizationOptions",
        ranges="[DoubleRange]",
        paletteColors="[string]",
        gamma="number",
        opacity="number",
    ),
    *(
        _message(
            f"Compute{what}Request",
            required="expression",
            expression="Expression",
            workloadTag="string",
            **_PAGE,
        )
        for what in ("Features", "Images")
    ),
    _message("ComputeFeaturesResponse", **_FEATURES),
    _message("ListFeaturesResponse", **_FEATURES),
    _message("ComputeImagesResponse", images="[EarthEngineAsset]", nextPageToken="string"),
    _message("Feature", type="string", geometry="value", properties="value"),
    _message(
        "Thumbnail",
        required="expression",
        name="string",
        grid="PixelGrid",
        filenamePrefix="string",
        **_PICTURE,
    ),
    _message(
        "FilmstripThumbnail",
        required="expression",
        name="string",
        expression="Expression",
        orientation="Orientation",
        fileFormat="ImageFileFormat",
        grid="PixelGrid",
    ),
    _message(
        "VideoThumbnail",
        required="expression",
        name="string",
        expression="Expression",
        videoOptions="VideoOptions",
        fileFormat="VideoFileFormat",
        grid="PixelGrid",
    ),
    _message(
        "VideoOptions", framesPerSecond="number", maxFrames="int32", maxPixelsPerFrame="int64"
    ),
    _message(
        "Table",
        required="expression",
        name="string",
        expression="Expression",
        fileFormat="TableFileFormat",
        selectors="[string]",
        filename="string",
    ),
    _message("EarthEngineMap", required="expression", name="string", **_PICTURE),
    _message(
        "FeatureView",
        ("source", ("asset",)),
        needs="source",
        name="string",
        visualizationExpression="Expression",
        asset="string",
    ),
    _message("HttpBody", contentType="string", data="bytes", extensions="[object]"),
    _message(
        "EarthEngineAsset",
        ("location", ("cloudStorageLocation", "featureViewAssetLocation")),
        type="AssetType",
        name="string",
        id="string",
        updateTime="timestamp",
        properties="object",
        startTime="timestamp",
        endTime="timestamp",
        geometry="object",
        bands="[ImageBand]",
        sizeBytes="int64",
        featureCount="int64",
        quota="FolderQuota",
        tilesets="[Tileset]",
        cloudStorageLocation="object",
        featureViewAssetLocation="object",
    ),
    _message(
        "Tileset",
        id="string",
        sources="[ImageSource]",
        dataType="TilesetDataType",
        crs="string",
    ),
    _message(
        "ImageSource",
        uris="[string]",
        affineTransform="AffineTransform",
        dimensions="GridDimensions",
    ),
    _message(
        "ImageBand",
        id="string",
        dataType="PixelDataType",
        grid="PixelGrid",
        pyramidingPolicy="PyramidingPolicy",
        missingData="MissingData",
    ),
    _message("PixelDataType", precision="Precision", range="DoubleRange", dimensionsCount="int32"),
    _message("MissingData", values="[number]"),
    _message(
        "FolderQuota",
        sizeBytes="int64",
        maxSizeBytes="int64",
        assetCount="int64",
        maxAssets="int64",
    ),
    _message("ListAssetsResponse", assets="[EarthEngineAsset]", nextPageToken="string"),
    _message("ListAlgorithmsResponse", algorithms="[Algorithm]"),
    _message(
        "Algorithm",
        name="string",
        description="string",
        returnType="string",
        arguments="[AlgorithmArgument]",
        deprecated="boolean",
        deprecationReason="string",
        hidden="boolean",
        preview="boolean",
        sourceCodeUri="string",
    ),
    _message(
        "AlgorithmArgument",
        argumentName="string",
        type="string",
        description="string",
        optional="boolean",
        defaultValue="value",
    ),
    _message(
        "ListOperationsResponse",
        operations="[Operation]",
        nextPageToken="string",
        unreachable="[string]",
    ),
    _message(
        "Operation",
        ("result", ("error", "response")),
        name="string",
        metadata="object",
        done="boolean",
        error="Status",
        response="object",
    ),
    _message("CancelOperationRequest"),
    _message("Status", code="int32", message="string", details="[object]"),
    _message(
        "ProjectConfig",
        name="string",
        registrationState="RegistrationState",
        maxConcurrentExports="int32",
        planMaxConcurrentExports="int32",
    ),
)
MESSAGES: Mapping[str, Message] = {message.name: message for message in _MESSAGES}
