"""The installed package is the tested one; modules import only from floors below their own."""

import ast
import os
import subprocess
import sys
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path

import distributed
import pytest
from packaging.requirements import Requirement

import eedask
import eedask.emulator

PACKAGE = Path(eedask.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
# From the ground up: of two names in a row, the first does not import the second. A line that
# begins with spaces goes on with the row before it.
FLOORS = """
eedask: errors arguments crs earthengine grid quota items dataset expressions watching
  run pixels
  tables results estimating plan verbs checkup __main__
eedask.checkup: asking checkup probes questions environment doctor
eedask.dataset: file_names folder run_lock plan_file question growth roles rows parts
  values_table stats items_file dataset staging subfolders
eedask.earthengine: http nodes geometries refusals retry tokens token_sharing credentials
  users_client endpoint connection methods profiles
eedask.emulator: errors readings geometry limits protocol answers pixels traffic values catalog
  learning reducers composites neighbours regions functions expression output rest server
  __main__ pytest_eedask
eedask.emulator.catalog: assets crs dates descriptions footprints world tables datasets
  mounts builtin catalog
eedask.emulator.catalog.datasets: orbits photographs places scenes series single
  climate_models elevation_models land_cover landsat_scene mgrs modis naip surface_water
  vegetation landsat population sentinel2_scene build_places sentinel2
eedask.emulator.catalog.mounts: properties pyramids raster_file sidecars mounts
eedask.emulator.catalog.tables: tables shipped making build
eedask.emulator.catalog.tables.making: made names us_outlines subdivision build_outlines
  ecoregions gaul protected boundaries
eedask.emulator.catalog.world: coastline land_plane laying noise outlines palette averaging
  solar_position tiling iso spectra sample_points surface terrain climate coast patterns
  regions broad canvas country crops relief towns fields landscape ground_cover scenery
eedask.emulator.composites: mosaic_points reduction_bands mosaics
eedask.emulator.expression: linking signatures lineage expression
eedask.emulator.functions: registry geometries images learning reducers values collections
  regions
eedask.emulator.functions.collections: aggregates collections features image_collections
  image_collections_reduce image_collections_region joins reductions
eedask.emulator.functions.geometries: covering_grids geometries geometry_constructors
  random_points
eedask.emulator.functions.images: aggregate arrays bands distance edges geometry kernels
  moves neighbourhood objects sources spectral terrain texture arrays_making arrays_values
  masks math matrices properties visualize expression
eedask.emulator.functions.learning: classifiers clusterers confusion
eedask.emulator.functions.reducers: reducers reducers_derived reducers_regression
eedask.emulator.functions.regions: distance painting samples statistics styling vectors
eedask.emulator.functions.values: dates filters matrices numbers pixel_types profile
  projections strings arrays dictionaries filter_expressions lists number_expressions
eedask.emulator.geometry: crs sphere geometry geodesy
eedask.emulator.learning: classifiers confusion decision_trees k_means training_data learners
eedask.emulator.limits: accounting answer_size budget capacity metering interrupting profiles
    real_memory
eedask.emulator.neighbours: connected costs kernels texture neighbourhoods gradients
eedask.emulator.output: own_grid png gif encode table_files formats pixel_grids rendering
  film
eedask.emulator.pixels: array_values late raster pixel_types projection tiling bands
  native_sources position_hash scattered native_tiles pixel_plans source_points sampling
  resampling
eedask.emulator.protocol: discovery schema_types json_scalars schemas api fitting validation
eedask.emulator.reducers: accumulators run_lengths correlations reduce banded regressions
  statistics histograms nested
eedask.emulator.regions: coverage shapes shared_reads painting styling zones zone_batches
eedask.emulator.rest: fields listing_terms paging store tiles calls listing
  asset_methods rest
eedask.emulator.server: scratch channel dressing hosts orphans starting options launcher messages
  render_process renderer pool server
eedask.emulator.traffic: auth spec faults quotas
eedask.emulator.values: dates formulas patterns truth value_types comparison elements filtering
  joda typenames coercion info
eedask.estimating: pilot scaling ways rehearsal course estimate measuring
eedask.expressions: digest symbols compile graph traps
eedask.items: check item bag crossing dates reading splitting regions spacing random_points grids
  from_earth_engine covering descriptions images_near images samples
eedask.pixels: formats layout many_grids resampling visualization query cutting descriptions
  known_pixels chip_forecast image_bands tiles chip_image empty_items chip_task finding
  image_question image_task
eedask.pixels.formats: geotiff_tags stretching masking base npy pictures png jpg tif registry
eedask.quota: adaptive messages owner share limiter scheduler_plugin links leases asking
eedask.results: contact_sheet csv_text runs reporting summary layouts values chip_files
  common_grid blocks lazy_bands coordinates chip_dataset shown result
eedask.run: options profiler own_cluster progress progress_bar undone run_limits request_pool
  stopping forecast task preparing explanation workers_present spec process lifetime job_sender
  outcomes stats_keeper partition execute staged
eedask.results.reporting: coast build_coast markup svg figures item_map chosen pictures columns
  failures page notebook drawing exploring
eedask.tables: bands composites features outlines reducers size_search values batch_sizes batches
  columns classes grouping point_cells region_jobs region_query series_query table_forecast
  table_task compute_task reduce_task points_task series_task
eedask.verbs: options chip_extent image_request roles chip_request chips images compute reduction
  reduce_regions sample_points time_series
eedask.watching: latency map_sample meter steady_clock compute messages partition_counts
  compute_sample reporter run_state tables log_line plots page http metrics scheduler_plugin
  announcing
"""
MODULE_NAMES = {
    ".".join(p.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for p in MODULES
}


@cache
def tree_of(path):
    return ast.parse(path.read_text())


@cache
def imports_of(path):
    """Return the names of eedask's modules that a module imports."""
    return list(names_imported(tree_of(path)))


def names_imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("eedask"):
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in MODULE_NAMES else node.module
        elif isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.startswith("eedask."))


def test_the_wheel_is_what_runs_under_tox():
    if "TOX_ENV_NAME" in os.environ:
        assert "site-packages" in PACKAGE.parts
    assert metadata.version("eedask") == eedask.__version__
    assert (PACKAGE / "py.typed").exists()


def test_no_release_of_dask_is_allowed_whose_dashboard_runs_scripts_of_others():
    """CVE-2026-23528."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    required = [Requirement(text) for text in project["dependencies"]]
    allowed = next(r.specifier for r in required if r.name == "distributed")
    assert not allowed.contains("2026.1.0")
    assert allowed.contains(distributed.__version__)


# What the README and the examples import from where.
PUBLIC = {
    "eedask": eedask,
    "eedask.items": eedask.items,
    "eedask.emulator": eedask.emulator,
}


@pytest.mark.parametrize("module", PUBLIC.values(), ids=PUBLIC)
def test_public_names_exist_are_documented_and_are_all_that_shows(module):
    assert sorted(dir(module)) == sorted(module.__all__)
    for name in module.__all__:
        found = getattr(module, name)
        assert name == "__version__" or found.__doc__
    # In the places where names are looked up without `dir`: star imports, and type checkers.
    namespace = {}
    exec(f"from {module.__name__} import *", namespace)
    assert {n for n in namespace if n != "__builtins__"} == set(module.__all__)


def test_public_names_are_what_their_own_names_say():
    for name in set(eedask.__all__) - {"__version__"}:
        found = getattr(eedask, name)
        assert found.__name__ in (name, f"eedask.{name}")
    assert {"from_features", "image_ids", "random_points", "to_bag"} <= set(dir(eedask.items))


def test_names_that_are_looked_up_late_are_those_that_type_checkers_see():
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    checked = next(node for node in tree.body if isinstance(node, ast.If)).body
    seen = {
        alias.name: node.module.removeprefix("eedask").removeprefix(".")
        for node in checked
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == {**eedask._HOMES, **dict.fromkeys(eedask._MODULES, "")}
    assert set(seen) | {"__version__"} == set(eedask.__all__)


def test_a_name_that_is_not_there_is_an_error_of_its_own():
    with pytest.raises(AttributeError, match="'eedask' has no attribute 'chip'"):
        _ = eedask.chip


def test_importing_the_package_imports_none_of_the_large_libraries():
    code = (
        "import sys, eedask;"
        "large = {'bokeh', 'dask', 'distributed', 'ee', 'geopandas', 'numpy', 'pandas', 'pyarrow'};"
        "assert not large & set(sys.modules), large & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_emulator_and_the_sampler_do_not_know_each_other():
    for path in MODULES:
        inside = "emulator" in path.relative_to(PACKAGE).parts
        for name in imports_of(path):
            assert name.startswith("eedask.emulator") == inside, f"{path} imports {name}"


def rows():
    """Return the names of every wing, from the ground up, by the wing's own dotted name."""
    joined = FLOORS.strip().replace("\n  ", " ").splitlines()
    return {wing: names.split() for wing, names in (row.split(": ") for row in joined)}


def contents(wing):
    """Return what stands directly in a wing: files, and wings within it."""
    folder = PACKAGE.parent / wing.replace(".", "/")
    files = {p.stem for p in folder.glob("*.py")} - {"__init__"}
    return files | {p.parent.name for p in folder.glob("*/__init__.py")}


def test_the_floor_plan_names_every_wing_and_file():
    wings = {
        ".".join(p.parent.relative_to(PACKAGE.parent).parts) for p in PACKAGE.rglob("__init__.py")
    }
    assert set(rows()) == wings
    for wing, names in rows().items():
        # The other half; and the plugin, which a wheel holds beside the package.
        outside = {"eedask": {"emulator"}, "eedask.emulator": {"pytest_eedask"}}.get(wing, set())
        assert sorted(set(names) - outside) == sorted(contents(wing) - outside), wing


@pytest.mark.parametrize("wing", sorted(rows()))
def test_imports_go_downwards(wing):
    names = rows()[wing]
    place = {f"{wing}.{name}": number for number, name in enumerate(names)}

    def room(name):
        return ".".join(name.split(".")[: wing.count(".") + 2])

    for path in MODULES:
        module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        here = place.get(room(module.removesuffix(".__init__")))
        for other in imports_of(path) if here is not None else ():
            there = place.get(room(other))
            assert there is None or there <= here, f"{module} imports {other}, which is above it"


def test_few_doors_stand_at_the_top():
    for folder, most in ((PACKAGE, 8), (PACKAGE / "emulator", 6)):
        assert len(list(folder.glob("*.py"))) <= most


@pytest.mark.parametrize("wing", sorted(set(rows()) - {"eedask", "eedask.emulator"}))
def test_a_wing_says_what_goes_in_what_comes_out_and_who_imports_it(wing):
    path = PACKAGE.parent / wing.replace(".", "/") / "__init__.py"
    text = ast.get_docstring(tree_of(path))
    assert 4 <= len(text.splitlines()) <= 8
    assert "\nIn go" in text
    assert "\nOut come" in text


def test_the_sampler_works_without_the_emulators_extra():
    code = (
        "import sys; sys.modules['rasterio'] = None; sys.modules['scipy'] = None;"
        "import eedask; assert not any(m.startswith('eedask.emulator') for m in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_emulator_says_what_it_lacks():
    code = (
        "import importlib.util as u; find = u.find_spec;"
        "u.find_spec = lambda n, *a: None if n == 'rasterio' else find(n, *a);"
        "import eedask.emulator"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode != 0
    assert 'pip install "eedask[emulator]"' in done.stderr


def test_every_module_says_what_it_is_for():
    assert [path for path in MODULES if not ast.get_docstring(tree_of(path))] == []
