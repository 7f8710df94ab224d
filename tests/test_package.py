"""What is installed is what is tested, and the two halves do not know each other."""

import ast
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import eedask

PACKAGE = Path(eedask.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
# From the ground up: of two names in a row, the first does not import the second. A line that
# begins with spaces goes on with the row before it.
FLOORS = """
eedask: errors arguments crs earthengine grid quota items dataset expressions run pixels
  tables results plan verbs
eedask.dataset: file_names folder rows items_file dataset
eedask.earthengine: http nodes refusals retry tokens token_sharing credentials endpoint
  connection methods
eedask.emulator: errors geometry limits protocol answers pixels traffic values catalog
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
eedask.emulator.catalog.world: coastline land_plane laying noise outlines palette parts
  sun tiling iso spectra spots surface terrain climate coast patterns regions broad canvas
  country crops heights towns fields land ground scenery
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
eedask.emulator.learning: classifiers confusion decision_trees k_means learning learners
eedask.emulator.limits: accounting answer_size metering interrupting profiles
eedask.emulator.neighbours: connected costs kernels texture neighbourhoods gradients
eedask.emulator.output: own_grid png gif encode table_files formats pixel_grids rendering
  film
eedask.emulator.pixels: array_values late raster pixel_types projection tiling bands
  native_sources position_hash scattered native_tiles pixel_plans source_points sampling
  resampling
eedask.emulator.protocol: discovery schema_types json_scalars schemas api fitting validation
eedask.emulator.reducers: accumulators runs correlations reduce regressions statistics
  nested
eedask.emulator.regions: coverage shapes shared_reads painting styling zones zone_batches
eedask.emulator.rest: fields listing_terms paging store tiles calls listing
  asset_methods rest
eedask.emulator.server: channel hosts starting launcher options messages render_process
  renderer pool server
eedask.emulator.traffic: auth spec faults quotas
eedask.emulator.values: dates formulas truth values comparison elements filtering joda
  typenames coercion info
eedask.expressions: digest symbols compile
eedask.items: check from_earth_engine item local
eedask.pixels: formats layout visualization query cutting tiles chip_task
eedask.pixels.formats: base npy pictures tif registry
eedask.quota: adaptive messages owner share limiter scheduler_plugin leases
eedask.results: contact_sheet report result
eedask.run: options profiler progress request_pool stopping task workers_present spec
  process partition execute
eedask.tables: batch_memory composites features grouping outlines reducers values batches
  columns compute_task reduce_task series_task
eedask.verbs: chips options compute reduction reduce_regions sample_points time_series
"""
MODULE_NAMES = {
    ".".join(p.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for p in MODULES
}


def imports_of(path):
    """Yield the names of eedask's modules that a module imports."""
    for node in ast.walk(ast.parse(path.read_text())):
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


def test_names_that_are_exported_exist_and_are_documented():
    for name in eedask.__all__:
        assert getattr(eedask, name) is not None
    documented = [n for n in eedask.__all__ if n != "__version__"]
    assert all(getattr(eedask, name).__doc__ for name in documented)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_the_emulator_and_the_sampler_do_not_know_each_other(path):
    inside = "emulator" in path.relative_to(PACKAGE).parts
    for name in imports_of(path):
        assert name.startswith("eedask.emulator") == inside, f"{path.name} imports {name}"


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
        outside = {"emulator"} if wing == "eedask" else set()
        assert sorted(names) == sorted(contents(wing) - outside), wing


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
    text = ast.get_docstring(ast.parse(path.read_text()))
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


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_every_module_says_what_it_is_for(path):
    assert ast.get_docstring(ast.parse(path.read_text()))
