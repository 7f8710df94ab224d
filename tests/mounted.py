"""The asset ids under which the tests' own rasters are mounted."""

SCENE = "projects/eedask-tests/assets/scene"
FIELD = "projects/eedask-tests/assets/field"
SERIES = "projects/eedask-tests/assets/series"
