"""Outlines of the states and counties of the United States.

``us_outlines.json.gz``, beside this module, holds a topology of the United States Census Bureau's
(public domain), made from the npm package us-atlas by ``build_outlines``.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from eedask.emulator.catalog.world.outlines import Outline, decode

FILE = Path(__file__).with_name("us_outlines.json.gz")


@cache
def states() -> tuple[Outline, ...]:
    """Return the states and territories of the United States, in degrees."""
    return decode(FILE, "states")


@cache
def counties() -> tuple[Outline, ...]:
    """Return the counties of the United States, in degrees; codes start with those of states."""
    return decode(FILE, "counties")
