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


def test_modules_import_in_no_circle():
    graph = {}
    for path in MODULES:
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        graph[name] = {i for i in imports_of(path) if i != name}
    done, path = set(), []

    def visit(name):
        assert name not in path, f"circle: {[*path[path.index(name) :], name]}"
        if name not in done and name in graph:
            path.append(name)
            for other in graph[name]:
                visit(other)
            path.pop()
            done.add(name)

    for name in graph:
        visit(name)


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
