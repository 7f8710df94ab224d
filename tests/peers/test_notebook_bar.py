"""ipywidgets and IPython: the bar of ``run()`` in a notebook is a widget, not text."""

import json
import subprocess
import sys
from pathlib import Path

import ee
import geopandas as gpd

import eedask

# What a notebook's kernel has imported, and how it shows things, without the kernel.
NOTEBOOK = """
import json, sys
import ipykernel.zmqshell
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

InteractiveShell.instance()
import dask, ee, ipywidgets
from google.auth.credentials import AnonymousCredentials
from test_notebook_bar import plan_of

url, project, out = sys.argv[1:]
ee.Initialize(AnonymousCredentials(), url=url, project=project)
with capture_output() as shown, dask.config.set(scheduler="threads"):
    plan_of(out).run()
(output,) = shown.outputs
view = output.data["application/vnd.jupyter.widget-view+json"]
widget = ipywidgets.Widget.widgets[view["model_id"]]
before, bar, after = widget.children
seen = [before.value, bar.value, bar.max, bar.bar_style, after.value, shown.stdout + shown.stderr]
print(json.dumps(seen))
"""


def plan_of(out: str) -> eedask.Plan:
    """Return a plan of eight numbers, of which two are none."""
    places = gpd.points_from_xy(range(8), range(8))
    items = gpd.GeoDataFrame({"n": [*"123456ab"]}, geometry=places, crs="EPSG:4326")
    return eedask.compute(items, lambda item: ee.Number.parse(item["n"]), out=out)


def test_the_bar_is_a_widget_that_ends_full(earth_engine, tmp_path):
    command = [sys.executable, "-c", NOTEBOOK, earth_engine.url, earth_engine.project]
    done = subprocess.run(
        [*command, str(tmp_path / "out")],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    before, value, most, style, after, text = json.loads(done.stdout)
    assert (before.split(), value, most, style) == (["compute:", "100%"], 8, 8, "success")
    # Its spaces are as wide as digits.
    after = " ".join(after.split())
    assert "8 of 8 items done" not in text
    assert "8/8" not in text
    assert "8/8" in after
    assert "2 failed" in after
