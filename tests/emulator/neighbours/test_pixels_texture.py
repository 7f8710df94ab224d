"""Texture against matrices of co-occurrences made pair by pair."""

import numpy as np
import pytest
from pixel_images import image, native, run, values

from eedask.emulator.errors import EarthEngineError

NAMES = [
    "asm", "contrast", "corr", "var", "idm", "savg", "svar", "sent", "ent", "dvar", "dent",
    "imcorr1", "imcorr2", "maxcorr", "diss", "inertia", "shade", "prom",
]  # fmt: skip


def log(p):
    return np.log(np.where(p > 0, p, 1))


def haralick(window, offset):
    """The measures by the papers' formulas, from the matrix."""
    levels = 8
    matrix = np.zeros((levels, levels))
    n = len(window)
    x, y = offset
    for row in range(n):
        for col in range(n):
            r, c = row + y, col + x
            if 0 <= r < n and 0 <= c < n and window[row, col] >= 0 and window[r, c] >= 0:
                matrix[window[row, col], window[r, c]] += 1
                matrix[window[r, c], window[row, col]] += 1
    p = matrix / matrix.sum()
    i, j = np.indices(p.shape)
    px = p.sum(axis=1)
    mean = (i * p).sum()
    var = ((i - mean) ** 2 * p).sum()
    sums = np.array([p[i + j == k].sum() for k in range(2 * levels - 1)])
    differences = np.array([p[abs(i - j) == k].sum() for k in range(levels)])
    k, d = np.arange(len(sums)), np.arange(levels)
    savg, davg = (k * sums).sum(), (d * differences).sum()
    hxy = -(p * log(p)).sum()
    hx = -(px * log(px)).sum()
    product = np.outer(px, px)
    hxy1, hxy2 = -(p * log(product)).sum(), -(product * log(product)).sum()
    return {
        "asm": (p**2).sum(),
        "contrast": ((i - j) ** 2 * p).sum(),
        "inertia": ((i - j) ** 2 * p).sum(),
        "corr": ((i - mean) * (j - mean) * p).sum() / var if var else 0,
        "var": var,
        "idm": (p / (1 + (i - j) ** 2)).sum(),
        "savg": savg,
        "svar": ((k - savg) ** 2 * sums).sum(),
        "sent": -(sums * log(sums)).sum(),
        "ent": hxy,
        "dvar": ((d - davg) ** 2 * differences).sum(),
        "dent": -(differences * log(differences)).sum(),
        "imcorr1": (hxy - hxy1) / hx if hx else 0,
        "imcorr2": np.sqrt(max(0, 1 - np.exp(-2 * (hxy2 - hxy)))),
        "maxcorr": 0,
        "diss": (abs(i - j) * p).sum(),
        "shade": ((i + j - 2 * mean) ** 3 * p).sum(),
        "prom": ((i + j - 2 * mean) ** 4 * p).sum(),
    }


@pytest.mark.parametrize("size", [1, 2])
def test_glcm(size):
    rng = np.random.default_rng(size)
    array = rng.integers(0, 8, (9, 10)).astype(np.uint8)
    array[:5, :5] = 3  # nothing but one level
    mask = np.ones(array.shape, np.float32)
    mask[7, 7] = 0
    img = image(array, names=["N"], mask=mask)
    got = run("Image.glcmTexture", img, size, None, True)
    assert got.band_names == [f"N_{name}" for name in NAMES]
    found = np.stack([values(got, native(img), i) for i in range(18)])
    levels = np.where(mask > 0, array.astype(int), -1)
    offsets = [(-1, -1), (0, -1), (1, -1), (-1, 0)]
    apart = run("Image.glcmTexture", img, size, None, False)
    assert len(apart.bands) == 72
    assert apart.band_names[0] == "N_asm_-1_-1"
    single = values(apart, native(img), 3 * 18 + 1)
    for row in range(size, 9 - size):
        for col in range(size, 10 - size):
            window = levels[row - size : row + size + 1, col - size : col + size + 1]
            wanted = [haralick(window, offset) for offset in offsets]
            if mask[row, col]:
                mean = [np.mean([w[name] for w in wanted]) for name in NAMES]
                assert np.allclose(found[:, row, col], mean, atol=1e-6), (row, col)
                assert single[row, col] == pytest.approx(wanted[3]["contrast"])
            else:
                assert np.isnan(found[:, row, col]).all()


def test_glcm_of_a_kernel():
    array = np.random.default_rng(0).integers(-3, 4, (8, 8)).astype(np.int16)
    img = image(array)
    pair = run("Kernel.fixed", 3, 1, [[1, 0, 1]], -1, -1, False)
    got = run("Image.glcmTexture", img, 2, pair, True)
    inner = native(img, 4, 4, 2, 2)
    windows = np.lib.stride_tricks.sliding_window_view(array, (5, 5)).astype(float)
    steps = np.abs(windows[..., 1:] - windows[..., :-1])
    assert np.allclose(values(got, inner, NAMES.index("diss")), steps.mean(axis=(2, 3)))
    with pytest.raises(EarthEngineError, match="integer"):
        run("Image.glcmTexture", image(array.astype(float)), 1, None, True)
    far = run("Kernel.fixed", 9, 1, [[1] * 9], -1, -1, False)
    with pytest.raises(EarthEngineError, match="do not fit"):
        run("Image.glcmTexture", img, 1, far, True)
