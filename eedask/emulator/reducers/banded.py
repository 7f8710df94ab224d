"""Which bands of an image a reducer takes, and what its outputs are called then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.readings import reading
from eedask.emulator.reducers.reduce import Reducer


def output_names(bands: Sequence[str], reducer: Reducer, single: str) -> list[list[str]]:
    """Return the names of a reducer's outputs, one list for each time the reducer is run.

    A reducer of one input is run on each band, and its outputs are called ``band_output`` unless
    ``single`` says otherwise. A reducer of several inputs is run once on all bands, and its
    outputs keep their names.

    Parameters
    ----------
    bands : sequence of str
    reducer : Reducer
    single : {"band", "output", "both"}
        ``band``: the output of a reducer that has only one is named after its band. ``output``:
        the same, but if there is only one band, outputs keep their names. ``both``: always
        ``band_output``.
    """
    if reducer.inputs != 1:
        return [list(reducer.outputs)]
    if single == "band" and len(reducer.outputs) == 1:
        return [[band] for band in bands]
    if single == "output":
        alone = len(reducer.outputs) == 1 or reading("region_outputs") == "output"
        if len(bands) == 1 and alone:
            return [list(reducer.outputs)]
        if len(reducer.outputs) == 1:
            return [[band] for band in bands]
    return [[f"{band}_{output}" for output in reducer.outputs] for band in bands]


def input_groups(bands: Sequence[Any], reducer: Reducer, algorithm: str) -> list[list[Any]]:
    """Return the groups of bands that a reducer is run on: each band alone, or all together.

    Raises
    ------
    EarthEngineError
        The reducer has several inputs, but not as many as there are bands.
    """
    if reducer.inputs == 1:
        return [[band] for band in bands]
    if len(bands) != reducer.inputs:
        raise EarthEngineError(
            f"{algorithm}: Need {reducer.inputs} bands for the reducer's inputs. "
            f"The image has {len(bands)}."
        )
    return [list(bands)]
