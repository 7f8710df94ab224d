"""The discovery document against what the REST reference documents of v1, in a short form.

https://developers.google.com/earth-engine/reference/rest/v1/. A method a line: id, verb, path,
query parameters, request, response (raw: bytes). A message (``:``) or an enum (``=``) a line;
``[X]`` is a list of X, ``{X}`` a map from strings to X. Lines that begin with blanks go on.
"""

import re

import pytest

from eedask.emulator.protocol.discovery import discovery_document
from eedask.emulator.protocol.schemas import ENUMS, MESSAGES

METHODS = """
projects.algorithms.list GET /{parent}/algorithms - - ListAlgorithmsResponse
projects.value.compute POST /{project}/value:compute - ComputeValueRequest ComputeValueResponse
projects.image.computePixels POST /{project}/image:computePixels - ComputePixelsRequest raw
projects.imageCollection.computeImages POST /{project}/imageCollection:computeImages -
  ComputeImagesRequest ComputeImagesResponse
projects.table.computeFeatures POST /{project}/table:computeFeatures - ComputeFeaturesRequest
  ComputeFeaturesResponse
projects.thumbnails.create POST /{parent}/thumbnails workloadTag:string Thumbnail Thumbnail
projects.thumbnails.getPixels GET /{name}:getPixels - - raw
projects.filmstripThumbnails.create POST /{parent}/filmstripThumbnails workloadTag:string
  FilmstripThumbnail FilmstripThumbnail
projects.filmstripThumbnails.getPixels GET /{name}:getPixels - - raw
projects.videoThumbnails.create POST /{parent}/videoThumbnails workloadTag:string VideoThumbnail
  VideoThumbnail
projects.videoThumbnails.getPixels GET /{name}:getPixels - - raw
projects.tables.create POST /{parent}/tables workloadTag:string Table Table
projects.tables.getFeatures GET /{name}:getFeatures - - raw
projects.maps.create POST /{parent}/maps workloadTag:string EarthEngineMap EarthEngineMap
projects.maps.tiles.get GET /{parent}/tiles/{zoom}/{x}/{y} - - raw
projects.featureView.create POST /{parent}/featureView - FeatureView FeatureView
projects.featureViews.create POST /{parent}/featureViews - FeatureView FeatureView
projects.featureViews.tiles.get GET /{parent}/tiles/{zoom}/{x}/{y} - - raw
projects.assets.get GET /{name} - - EarthEngineAsset
projects.assets.getPixels POST /{name}:getPixels - GetPixelsRequest raw
projects.assets.listAssets GET /{parent}:listAssets
  pageSize:int32,pageToken:string,filter:string,view:EarthEngineAssetView - ListAssetsResponse
projects.assets.listFeatures GET /{asset}:listFeatures
  pageSize:int32,pageToken:string,region:string,filter:string - ListFeaturesResponse
projects.listAssets GET /{parent}:listAssets
  pageSize:int32,pageToken:string,filter:string,view:EarthEngineAssetView - ListAssetsResponse
projects.getConfig GET /{name} - - ProjectConfig
projects.operations.list GET /{name}/operations
  pageSize:int32,pageToken:string,filter:string,returnPartialSuccess:boolean -
  ListOperationsResponse
projects.operations.get GET /{name} - - Operation
projects.operations.cancel POST /{name}:cancel - CancelOperationRequest Empty
projects.updateConfig PATCH /{name} updateMask:string ProjectConfig ProjectConfig
projects.image.export POST /{project}/image:export - ExportImageRequest Operation
projects.table.export POST /{project}/table:export - ExportTableRequest Operation
projects.video.export POST /{project}/video:export - ExportVideoRequest Operation
projects.map.export POST /{project}/map:export - ExportMapRequest Operation
projects.classifier.export POST /{project}/classifier:export - ExportClassifierRequest Operation
projects.image.import POST /{project}/image:import - ImportImageRequest Operation
projects.image.importExternal POST /{project}/image:importExternal - ImportExternalImageRequest
  EarthEngineAsset
projects.table.import POST /{project}/table:import - ImportTableRequest Operation
projects.assets.create POST /{parent}/assets assetId:string,overwrite:boolean EarthEngineAsset
  EarthEngineAsset
projects.assets.copy POST /{sourceName}:copy - CopyAssetRequest EarthEngineAsset
projects.assets.move POST /{sourceName}:move - MoveAssetRequest EarthEngineAsset
projects.assets.patch PATCH /{name} - UpdateAssetRequest EarthEngineAsset
projects.assets.delete DELETE /{name} - - Empty
projects.assets.getIamPolicy POST /{resource}:getIamPolicy - GetIamPolicyRequest Policy
projects.assets.setIamPolicy POST /{resource}:setIamPolicy - SetIamPolicyRequest Policy
"""

# Messages of methods that are refused: of these the document gives no more than the name.
OPAQUE = {
    "Empty",
    "Policy",
    "ExportImageRequest",
    "ExportTableRequest",
    "ExportVideoRequest",
    "ExportMapRequest",
    "ExportClassifierRequest",
    "ImportImageRequest",
    "ImportExternalImageRequest",
    "ImportTableRequest",
    "CopyAssetRequest",
    "MoveAssetRequest",
    "UpdateAssetRequest",
    "GetIamPolicyRequest",
    "SetIamPolicyRequest",
}

SCHEMAS = """
Expression: values={ValueNode} result=string
ValueNode: constantValue=value integerValue=int64 bytesValue=bytes arrayValue=ArrayValue
  dictionaryValue=DictionaryValue functionDefinitionValue=FunctionDefinition
  functionInvocationValue=FunctionInvocation argumentReference=string valueReference=string
ArrayValue: values=[ValueNode]
DictionaryValue: values={ValueNode}
FunctionDefinition: argumentNames=[string] body=string
FunctionInvocation: functionName=string functionReference=string arguments={ValueNode}
ComputeValueRequest: expression=Expression workloadTag=string
ComputeValueResponse: result=value
ComputePixelsRequest: expression=Expression fileFormat=ImageFileFormat grid=PixelGrid
  bandIds=[string] visualizationOptions=VisualizationOptions workloadTag=string
GetPixelsRequest: fileFormat=ImageFileFormat grid=PixelGrid region=object bandIds=[string]
  visualizationOptions=VisualizationOptions workloadTag=string
PixelGrid: dimensions=GridDimensions affineTransform=AffineTransform crsCode=string
  crsWkt=string
AffineTransform: scaleX=number shearX=number translateX=number shearY=number scaleY=number
  translateY=number
GridDimensions: width=int32 height=int32
DoubleRange: min=number max=number
ImageFileFormat = IMAGE_FILE_FORMAT_UNSPECIFIED JPEG PNG AUTO_JPEG_PNG NPY GEO_TIFF
  TF_RECORD_IMAGE ZIPPED_GEO_TIFF ZIPPED_GEO_TIFF_PER_BAND
VisualizationOptions: ranges=[DoubleRange] paletteColors=[string] gamma=number opacity=number
ComputeImagesRequest: expression=Expression pageSize=int32 pageToken=string workloadTag=string
ComputeImagesResponse: images=[EarthEngineAsset] nextPageToken=string
ComputeFeaturesRequest: expression=Expression pageSize=int32 pageToken=string workloadTag=string
ComputeFeaturesResponse: type=string features=[Feature] nextPageToken=string
ListFeaturesResponse: type=string features=[Feature] nextPageToken=string
Feature: type=string geometry=value properties=value
Thumbnail: name=string expression=Expression fileFormat=ImageFileFormat bandIds=[string]
  visualizationOptions=VisualizationOptions grid=PixelGrid filenamePrefix=string
FilmstripThumbnail: name=string expression=Expression orientation=Orientation
  fileFormat=ImageFileFormat grid=PixelGrid
Orientation = ORIENTATION_UNSPECIFIED HORIZONTAL VERTICAL
VideoThumbnail: name=string expression=Expression videoOptions=VideoOptions
  fileFormat=VideoFileFormat grid=PixelGrid
VideoOptions: framesPerSecond=number maxFrames=int32 maxPixelsPerFrame=int64
VideoFileFormat = VIDEO_FILE_FORMAT_UNSPECIFIED MP4 GIF VP9
FeatureView: name=string visualizationExpression=Expression asset=string
Table: name=string expression=Expression fileFormat=TableFileFormat selectors=[string]
  filename=string
TableFileFormat = TABLE_FILE_FORMAT_UNSPECIFIED CSV GEO_JSON KML KMZ SHP TF_RECORD_TABLE
EarthEngineMap: name=string expression=Expression fileFormat=ImageFileFormat bandIds=[string]
  visualizationOptions=VisualizationOptions
HttpBody: contentType=string data=bytes extensions=[object]
EarthEngineAsset: type=AssetType name=string id=string updateTime=timestamp properties=object
  startTime=timestamp endTime=timestamp geometry=object bands=[ImageBand] sizeBytes=int64
  featureCount=int64 quota=FolderQuota tilesets=[Tileset] cloudStorageLocation=object
  featureViewAssetLocation=object
AssetType = TYPE_UNSPECIFIED IMAGE IMAGE_COLLECTION TABLE FOLDER CLASSIFIER FEATURE_VIEW
ImageBand: id=string dataType=PixelDataType grid=PixelGrid pyramidingPolicy=PyramidingPolicy
  missingData=MissingData
PixelDataType: precision=Precision range=DoubleRange dimensionsCount=int32
Precision = PRECISION_UNSPECIFIED INT FLOAT DOUBLE
PyramidingPolicy = PYRAMIDING_POLICY_UNSPECIFIED MEAN SAMPLE MIN MAX MODE MEDIAN
MissingData: values=[number]
FolderQuota: sizeBytes=int64 maxSizeBytes=int64 assetCount=int64 maxAssets=int64
Tileset: id=string sources=[ImageSource] dataType=TilesetDataType crs=string
ImageSource: uris=[string] affineTransform=AffineTransform dimensions=GridDimensions
TilesetDataType = DATA_TYPE_UNSPECIFIED INT8 UINT8 INT16 UINT16 INT32 UINT32 FLOAT DOUBLE
EarthEngineAssetView = EARTH_ENGINE_ASSET_VIEW_UNSPECIFIED FULL BASIC
ListAssetsResponse: assets=[EarthEngineAsset] nextPageToken=string
ListAlgorithmsResponse: algorithms=[Algorithm]
Algorithm: name=string description=string returnType=string arguments=[AlgorithmArgument]
  deprecated=boolean deprecationReason=string hidden=boolean preview=boolean
  sourceCodeUri=string
AlgorithmArgument: argumentName=string type=string description=string optional=boolean
  defaultValue=value
ListOperationsResponse: operations=[Operation] nextPageToken=string unreachable=[string]
Operation: name=string metadata=object done=boolean error=Status response=object
CancelOperationRequest:
ProjectConfig: name=string registrationState=RegistrationState maxConcurrentExports=int32
  planMaxConcurrentExports=int32
RegistrationState = REGISTRATION_STATE_UNSPECIFIED NOT_REGISTERED REGISTERED_COMMERCIALLY
  REGISTERED_NOT_COMMERCIALLY
Status: code=int32 message=string details=[object]
"""

SCALARS = {
    "string": ("string", None),
    "boolean": ("boolean", None),
    "number": ("number", "double"),
    "int32": ("integer", "int32"),
    "int64": ("string", "int64"),
    "bytes": ("string", "byte"),
    "timestamp": ("string", "google-datetime"),
    "value": ("any", None),
}


def lines(text):
    return re.sub(r"\n +", " ", text).strip().splitlines()


FACTS = dict(re.split(r" = |: ?", line, maxsplit=1) for line in lines(SCHEMAS))
IS_ENUM = {line.split()[0] for line in lines(SCHEMAS) if " = " in line}


@pytest.fixture(scope="module")
def document():
    return discovery_document("http://127.0.0.1/")


def methods_of(node):
    for method in node.get("methods", {}).values():
        yield method["id"].removeprefix("earthengine."), method
    for child in node.get("resources", {}).values():
        yield from methods_of(child)


def described(kind):
    """What a discovery document says of a field of a kind."""
    if kind[0] == "[":
        return {"type": "array", "items": described(kind[1:-1])}
    if kind[0] == "{":
        return {"type": "object", "additionalProperties": described(kind[1:-1])}
    if kind == "object":
        return {"type": "object", "additionalProperties": {"type": "any"}}
    if kind in IS_ENUM:
        return {"type": "string", "enum": FACTS[kind].split()}
    if kind in SCALARS:
        name, form = SCALARS[kind]
        return {"type": name} if form is None else {"type": name, "format": form}
    return {"$ref": kind}


def test_methods_are_those_of_the_reference(document):
    assert dict(methods_of(document)).keys() == {line.split()[0] for line in lines(METHODS)}


@pytest.mark.parametrize("line", lines(METHODS), ids=lambda line: line.split()[0])
def test_a_method(document, line):
    name, verb, path, query, request, response = line.split()
    method = dict(methods_of(document))[name]
    assert (method["httpMethod"], "/" + method["flatPath"]) == (verb, "/v1" + path)
    assert method.get("request", {}).get("$ref", "-") == request
    assert method["response"]["$ref"] == ("HttpBody" if response == "raw" else response)
    wanted = dict(pair.split(":") for pair in query.split(",")) if query != "-" else {}
    parameters = method["parameters"]
    in_query = {k: v for k, v in parameters.items() if v["location"] == "query"}
    assert in_query == {k: {**described(v), "location": "query"} for k, v in wanted.items()}
    in_path = parameters.keys() - in_query.keys()
    assert in_path == set(re.findall(r"\{(\w+)\}", path))
    assert all(parameters[k]["location"] == "path" and parameters[k]["required"] for k in in_path)


@pytest.mark.parametrize("name", sorted(FACTS.keys() - IS_ENUM))
def test_a_message(document, name):
    fields = dict(pair.split("=") for pair in FACTS[name].split())
    wanted = {field: described(kind) for field, kind in fields.items()}
    assert document["schemas"][name]["properties"] == wanted


def test_no_message_nor_enum_is_invented(document):
    assert document["schemas"].keys() - OPAQUE == FACTS.keys() - IS_ENUM == MESSAGES.keys()
    for name in OPAQUE:
        assert document["schemas"][name] == {"id": name, **described("object")}
    assert {name: list(enum.values) for name, enum in ENUMS.items()} == {
        name: FACTS[name].split() for name in IS_ENUM
    }
