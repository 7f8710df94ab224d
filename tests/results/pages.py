"""Reads a report as a browser does, far enough to see what is in it and that it is whole."""

import base64
import io
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

from PIL import Image

# Elements that have no end tag.
VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """A page's elements, texts and pictures; raises AssertionError where tags do not match."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.attributes, self.texts, self._open = [], [], [], []
        self.feed(source)
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open[-1:] != ["style"]:
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def pictures(self):
        for tag, name, value in self.attributes:
            if (tag, name) == ("img", "src"):
                data = base64.b64decode(value.partition(";base64,")[2], validate=True)
                yield Image.open(io.BytesIO(data))


def paths(svg):
    """Return an SVG's paths as dicts of their attributes."""
    root = ET.fromstring(svg)
    return [one.attrib for one in root.iter("{http://www.w3.org/2000/svg}path")]


def dots(svg, stroke):
    """Return where the dots of one colour are."""
    drawn = [p["d"] for p in paths(svg) if p["stroke"] == stroke and p["d"].endswith("h0")]
    places = [piece.removesuffix("h0") for d in drawn for piece in d.split("M")[1:]]
    return [tuple(map(float, place.split())) for place in places]
