"""Makes one picture of an image collection: a filmstrip or an animated GIF.

https://developers.google.com/earth-engine/reference/rest/v1/projects.filmstripThumbnails and
https://developers.google.com/earth-engine/reference/rest/v1/projects.videoThumbnails. The limit
of 26,214,400 pixels over the collection is documented; what happens to frames of different
sizes, and that too many frames are refused rather than left out, is a guess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.answers import Answer, file_answer
from eedask.emulator.errors import EarthEngineError
from eedask.emulator.output.encode import Picture, planes_of
from eedask.emulator.output.formats import VideoFormat, image_format, video_format
from eedask.emulator.output.rendering import THUMBNAIL, Rendering, prepare
from eedask.emulator.pixels.raster import Image
from eedask.emulator.values.value_types import Collection

MAX_PIXELS = 26214400
"""Of all frames together."""

_MAX_SIDE = 32768
_MAX_FRAMES = 1000
_MAX_PIXELS_PER_FRAME = 100_000_000
_FRAMES_PER_SECOND = 5.0
_FEWEST_PER_SECOND, _MOST_PER_SECOND = 0.1, 120.0


@dataclass(frozen=True)
class Filmstrip:
    """A filmstrip that is ready to be read: frames below or beside each other in one picture."""

    frames: tuple[Rendering, ...]
    vertical: bool
    draw: Picture

    def answer(self) -> Answer:
        """Read and encode the frames."""
        frames = _same_size([frame.rgba() for frame in self.frames])
        strip = np.concatenate(frames, axis=0 if self.vertical else 1)
        return file_answer(*self.draw(*planes_of(strip)))


@dataclass(frozen=True)
class Video:
    """A video that is ready to be read: frames one after the other, in a format of videos."""

    frames: tuple[Rendering, ...]
    per_second: float
    file_format: VideoFormat

    def answer(self) -> Answer:
        """Read and encode the frames."""
        frames = _same_size([frame.rgba() for frame in self.frames])
        data = self.file_format.encode(frames, self.per_second)
        return file_answer(data, self.file_format.content_type)


def prepare_filmstrip(collection: Collection, request: Mapping[str, Any]) -> Filmstrip:
    """Check a request for a filmstrip, without reading pixels.

    Parameters
    ----------
    collection : Collection
        Of images, each of them a frame.
    request : mapping
        Checked fields of a FilmstripThumbnail. Frames are below each other unless it says
        otherwise (a guess).

    Raises
    ------
    EarthEngineError
        400: no frames, a format that is no picture, too many pixels.
    """
    file_format = image_format(request)
    if file_format.draw is None:
        raise EarthEngineError(f"A filmstrip cannot be a {file_format.name}: it is a picture.")
    frames = _frames(collection, request, _MAX_FRAMES)
    vertical = request.get("orientation") != "HORIZONTAL"
    along = sum(f.grid.height if vertical else f.grid.width for f in frames)
    if along > _MAX_SIDE:
        raise EarthEngineError(
            f"The filmstrip's side ({along} pixels) must be less than or equal to {_MAX_SIDE}."
        )
    return Filmstrip(frames, vertical, file_format.draw)


def prepare_video(collection: Collection, request: Mapping[str, Any]) -> Video:
    """Check a request for an animated GIF, without reading pixels.

    Parameters
    ----------
    collection : Collection
        Of images, each of them a frame.
    request : mapping
        Checked fields of a VideoThumbnail. As in all of this API, zero means that a field is not
        given.

    Raises
    ------
    EarthEngineError
        400: no frames or too many, another format than GIF, a speed outside 0.1 to 120 frames a
        second, too many pixels.
    """
    file_format = video_format(request)
    options = request.get("videoOptions", {})
    speed = options.get("framesPerSecond") or _FRAMES_PER_SECOND
    if not _FEWEST_PER_SECOND <= speed <= _MOST_PER_SECOND:
        raise EarthEngineError(
            f"framesPerSecond must be between {_FEWEST_PER_SECOND} and {_MOST_PER_SECOND}, "
            f"but is {speed}."
        )
    frames = _frames(collection, request, options.get("maxFrames") or _MAX_FRAMES)
    most = int(options.get("maxPixelsPerFrame") or _MAX_PIXELS_PER_FRAME)
    for frame in frames:
        if _pixels(frame) > most:
            raise EarthEngineError(
                f"A frame has {_pixels(frame)} pixels, but maxPixelsPerFrame allows only {most}."
            )
    return Video(frames, speed, file_format)


def _frames(collection: Collection, request: Mapping[str, Any], most: int) -> tuple[Rendering, ...]:
    images = list(islice(collection.elements(), most + 1))
    if not images:
        raise EarthEngineError("The collection has no images.")
    if len(images) > most:
        raise EarthEngineError(f"The collection has more than {most} images.")
    asked = {"fileFormat": "PNG", **{k: request[k] for k in ("grid",) if k in request}}
    frames = []
    total = 0
    for image in images:
        if not isinstance(image, Image):
            raise EarthEngineError("The expression does not evaluate to a collection of images.")
        frames.append(prepare(image, asked, THUMBNAIL))
        total += _pixels(frames[-1])
        if total > MAX_PIXELS:
            raise EarthEngineError(
                f"Total number of pixels of the collection's frames must be less than or equal "
                f"to {MAX_PIXELS}."
            )
    return tuple(frames)


def _pixels(frame: Rendering) -> int:
    return frame.grid.width * frame.grid.height


def _same_size(frames: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """Return frames of the largest one's size, padded with clear pixels at right and bottom."""
    height, width = (max(frame.shape[axis] for frame in frames) for axis in (0, 1))
    if height * width * len(frames) > 2 * MAX_PIXELS:
        raise EarthEngineError("The sizes of the collection's frames differ too much.")
    return [np.pad(f, ((0, height - f.shape[0]), (0, width - f.shape[1]), (0, 0))) for f in frames]
