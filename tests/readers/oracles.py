"""What scipy and scikit-image make of an image, for each recipe that must equal them in every bit.

`cases(folder)` yields (image file, recipe, border or None, result). Recipes are those of the command line; every
operation of `voxtile ops` that has a reference appears at least once in 2-D and in 3-D.
"""

import numpy as np
import tifffile
from scipy import ndimage as ndi
from skimage import exposure, feature, filters, restoration

BORDERS = ["reflect", "constant", "nearest", "mirror", "wrap"]


def load(folder, image):
    return tifffile.imread(folder / image)


def f32(image):
    return image.astype(np.float32)


def clip_difference(a, b):
    """a - b, not below the sample type's lowest value where a < b."""
    return np.where(a > b, a - b, np.zeros_like(a))


def gray(image, weights=(0.2125, 0.7154, 0.0721)):
    """Weighted sum over the last axis, in f64, rounded once."""
    total = np.zeros(image.shape[:-1])
    for channel, weight in enumerate(weights):
        total = total + weight * image[..., channel].astype(np.float64)
    return total.astype(np.float32)


def blocks(image, factor):
    """Voxels of each block of `factor` in the last axis, NaN where a ragged block has none."""
    padded = [(0, -n % f) for n, f in zip(image.shape, factor)]
    wide = np.pad(image.astype(np.float64), padded, constant_values=np.nan)
    shape = [m for n, f in zip(wide.shape, factor) for m in (n // f, f)]
    order = [2 * i for i in range(image.ndim)] + [2 * i + 1 for i in range(image.ndim)]
    wide = wide.reshape(shape).transpose(order)
    return wide.reshape(*wide.shape[: image.ndim], -1)


def mode(image, factor):
    """Most frequent value of each block, the smallest of those that tie."""
    flat = blocks(image, factor)
    out = np.empty(flat.shape[:-1], image.dtype)
    for at in np.ndindex(out.shape):
        values, counts = np.unique(flat[at][~np.isnan(flat[at])], return_counts=True)
        out[at] = values[np.argmax(counts)]
    return out


def f64(image):
    return image.astype(np.float64)


def window_moments(image, size, border):
    """Mean and variance of every box, in f64, of all its voxels at once: no running sums."""
    modes = {"reflect": "symmetric", "mirror": "reflect", "nearest": "edge", "wrap": "wrap", "constant": "constant"}
    before, after = size // 2, (size - 1) // 2
    wide = np.pad(f64(image), [(before, after)] * image.ndim, mode=modes[border])
    windows = np.lib.stride_tricks.sliding_window_view(wide, (size,) * image.ndim)
    axes = tuple(range(image.ndim, 2 * image.ndim))
    return windows.mean(axis=axes), windows.var(axis=axes)


def above(image, level):
    return (image > level).astype(np.uint8)


def whole(image, dtype):
    """The nearest whole numbers, as `cast` makes them."""
    info = np.iinfo(dtype)
    return np.clip(np.rint(image), info.min, info.max).astype(dtype)


def bilateral(image, size, sigma_color, sigma_spatial):
    """skimage's has its spatial weights in rows of size + 1 and reads them in rows of size: its window is skewed."""
    radius = size // 2
    wide, total, weights = np.pad(f64(image), radius, mode="symmetric"), 0.0, 0.0
    for offset in np.ndindex((size,) * image.ndim):
        other = wide[tuple(slice(o, o + n) for o, n in zip(offset, image.shape))]
        distance = sum(((o - radius) / sigma_spatial) ** 2 for o in offset)
        weight = np.exp(-0.5 * (distance + ((other - image) / sigma_color) ** 2))
        total, weights = total + weight * other, weights + weight
    return total / weights


def neighbourhoods(image):
    """Recipes with a neighbourhood: name, recipe, function of the border rule."""
    ndim = image.ndim
    size = {2: (5, 8), 3: (3, 5, 8)}[ndim]
    text = ",".join(map(str, size))
    plain = {"size": size}
    yield "gaussian sigma=1.5", lambda m: ndi.gaussian_filter(f32(image), 1.5, mode=m)
    yield "gaussian sigma=2 truncate=2.3", lambda m: ndi.gaussian_filter(f32(image), 2.0, truncate=2.3, mode=m)
    yield "gradient sigma=1.5", lambda m: ndi.gaussian_gradient_magnitude(f32(image), 1.5, mode=m)
    yield "log-filter sigma=1.5", lambda m: ndi.gaussian_laplace(f32(image), 1.5, mode=m)
    yield "laplace", lambda m: ndi.laplace(f32(image), mode=m)
    yield "dog low=1 high=2", lambda m: filters.difference_of_gaussians(f32(image), 1, 2, mode=m)
    yield "scharr", lambda m: filters.scharr(f32(image), mode=m)
    yield "prewitt", lambda m: filters.prewitt(f32(image), mode=m)
    yield "threshold local size=15 offset=5", lambda m: above(
        f32(image), filters.threshold_local(f32(image), 15, offset=5, mode=m)
    )
    yield "threshold local method=mean size=9", lambda m: above(
        f32(image), filters.threshold_local(f32(image), 9, method="mean", mode=m)
    )
    yield "variance size=5", lambda m: f32(window_moments(image, 5, m)[1])
    yield "std size=4", lambda m: f32(np.sqrt(window_moments(image, 4, m)[1]))
    yield "mean size=5", lambda m: ndi.uniform_filter(f32(image), 5, mode=m)
    yield "median size=3", lambda m: ndi.median_filter(image, 3, mode=m)
    yield f"median size={text}", lambda m: ndi.median_filter(image, size, mode=m)
    yield f"min size={text}", lambda m: ndi.minimum_filter(image, size, mode=m)
    yield f"max size={text}", lambda m: ndi.maximum_filter(image, size, mode=m)
    yield f"erode size={text}", lambda m: ndi.grey_erosion(image, mode=m, **plain)
    yield f"dilate size={text}", lambda m: ndi.grey_dilation(image, mode=m, **plain)
    yield f"open size={text}", lambda m: ndi.grey_opening(image, mode=m, **plain)
    yield f"close size={text}", lambda m: ndi.grey_closing(image, mode=m, **plain)
    yield f"tophat size={text}", lambda m: clip_difference(image, ndi.grey_opening(image, mode=m, **plain))
    yield f"blackhat size={text}", lambda m: clip_difference(ndi.grey_closing(image, mode=m, **plain), image)
    yield "tophat size=9", lambda m: clip_difference(image, ndi.grey_opening(image, size=(9,) * ndim, mode=m))


def points(image):
    """Recipes without a neighbourhood, or with skimage's fixed one: recipe, result."""
    ndim, top = image.ndim, np.iinfo(image.dtype).max
    yield "sobel", filters.sobel(f32(image))
    yield "unsharp sigma=2 amount=1.5", filters.unsharp_mask(f32(image), 2, 1.5, preserve_range=True)
    yield "threshold local method=niblack size=9 border=mirror", above(image, filters.threshold_niblack(image, 9))
    yield "threshold local method=sauvola size=9 k=0.1 border=mirror", above(
        image, filters.threshold_sauvola(image, 9, k=0.1)
    )
    yield "gamma 0.4", f32(exposure.adjust_gamma(f64(image) / top, 0.4) * top)
    yield "ln", f32(np.log(f64(image)))
    yield "expr \"input / 300\" | exp", f32(np.exp(f64(f32(f64(image) / 300))))
    yield "sqrt", f32(np.sqrt(f64(image)))
    yield "laplace | abs", np.abs(ndi.laplace(f32(image)))
    a, b = f64(ndi.gaussian_filter(f32(image), 1)), f64(ndi.gaussian_filter(f32(image), 3))
    named = "gaussian 1 as a | gaussian 3 on=input as b | "
    yield named + "expr \"(a - b) / (a + b + 1)\"", f32((a - b) / (a + b + 1))
    yield named + "expr \"where(a > b && input >= 120, sqrt(a) - b**2 / 7, min(a, max(b, 100)))\"", f32(
        np.where((a > b) & (image >= 120), np.sqrt(a) - b**2 / 7, np.minimum(a, np.maximum(b, 100)))
    )
    yield named + "expr \"exp(-a / 500) + ln(b) * a**1.3\"", f32(np.exp(-a / 500) + np.log(b) * a**1.3)
    yield named + "expr \"a > b\" as m | mask outside=7 on=input,m", np.where(a > b, image, 7).astype(image.dtype)
    yield named + "expr \"a > b\" as m | where on=m,a,b", f32(np.where(a > b, a, b))
    low, high = (np.float32(np.percentile(image, p)) for p in (1, 99.8))
    yield "normalize", (f32(image) - low) / (high - low + np.float32(1e-20))
    yield "equalize", f32(exposure.equalize_hist(image))
    yield "threshold yen", above(image, filters.threshold_yen(image))
    yield "gaussian 1 | threshold otsu", above(
        ndi.gaussian_filter(f32(image), 1), filters.threshold_otsu(ndi.gaussian_filter(f32(image), 1))
    )
    for which, n in (("largest", 0), ("smallest", -1)):
        values = feature.hessian_matrix_eigvals(
            feature.hessian_matrix(f64(image), 2, mode="reflect", use_gaussian_derivatives=True)
        )
        yield f"hessian sigma=2 which={which} as it | expr \"it * 7 + 0.013\" | cast i16", whole(values[n] * 7 + 0.013, np.int16)
    yield "sato sigmas=1.5,3 black-ridges=no as it | expr \"it * 7 + 0.013\" | cast i16", whole(
        filters.sato(f64(image), [1.5, 3], black_ridges=False) * 7 + 0.013, np.int16
    )
    yield "frangi sigmas=1.5,3 black-ridges=no as it | expr \"it * 40 + 0.013\" | cast u16", whole(
        filters.frangi(f64(image), [1.5, 3], black_ridges=False) * 40 + 0.013, np.uint16
    )
    yield "tv-denoise weight=30 iterations=12", restoration.denoise_tv_chambolle(
        f32(image), 30, eps=0, max_num_iter=12
    )
    yield "bilateral 60 sigma-spatial=1.2 size=5 | cast u16", whole(bilateral(image, 5, 60, 1.2), np.uint16)
    yield "cast u8", np.clip(image, 0, 255).astype(np.uint8)
    yield "cast f32", f32(image)
    yield "invert", (top - image).astype(image.dtype)
    yield "clamp min=120 max=400", np.clip(image, 120, 400)
    middle = int(np.median(image))
    yield f"threshold {middle}", (image > middle).astype(np.uint8)
    yield "crop " + ",".join(["3:19", "11:60", ":40"][3 - ndim :]), image[(slice(3, 19), slice(11, 60), slice(40))[3 - ndim :]]
    factor = (2, 3, 4)[3 - ndim :]
    text = ",".join(map(str, factor))
    mean = np.nanmean(blocks(image, factor), axis=-1)
    yield f"downsample {text} method=mean", np.rint(mean).astype(image.dtype)
    yield f"downsample {text} method=max", np.nanmax(blocks(image, factor), axis=-1).astype(image.dtype)
    yield f"downsample {text} method=stride", image[tuple(slice(None, None, f) for f in factor)]
    yield f"downsample {text} method=mode", mode(image, factor)
    yield "project y method=max", image.max(axis=-2)
    yield "project x method=min", image.min(axis=-1)
    yield "project y method=sum", image.sum(axis=-2, dtype=np.uint64)
    yield "gaussian sigma=1 | median size=3 | sobel", filters.sobel(
        ndi.median_filter(ndi.gaussian_filter(f32(image), 1.0), 3)
    )


def cases(folder):
    for name in ("nuclei.tif", "lightsheet.tif"):
        image = load(folder, name)
        for recipe, result in neighbourhoods(image):
            for border in BORDERS:
                yield name, recipe, border, result(border)
        for recipe, result in points(image):
            yield name, recipe, None, result
    rgb = load(folder, "tissue.tif")
    yield "tissue.tif", "gray", None, gray(rgb)
    yield "tissue.tif", "gray weights=0.25,0.5,0.25", None, gray(rgb, (0.25, 0.5, 0.25))
    yield "tissue.tif", "gray | sobel", None, filters.sobel(gray(rgb))
    yield "tissue.tif", "gaussian sigma=1.5", None, np.stack(
        [ndi.gaussian_filter(f32(rgb[..., c]), 1.5) for c in range(3)]
    )
