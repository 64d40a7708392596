"""What scipy and scikit-image make of an image, for each recipe that must equal them in every bit.

`cases(folder)` yields (image file, kind, recipe, border or None, result). Recipes are those of the command line. `kind` is
the sample type that the image has or, by the rule of `of_kind`, is given: the same recipes are computed of u8, u16 and f32,
in 2-D and in 3-D.
"""

import numpy as np
import tifffile
from scipy import ndimage as ndi
from skimage import color, exposure, feature, filters, measure, morphology, restoration, segmentation
from skimage.exposure import _adapthist

BORDERS = ["reflect", "constant", "nearest", "mirror", "wrap"]
KINDS = {"u8": np.uint8, "u16": np.uint16, "f32": np.float32}


def load(folder, image):
    return tifffile.imread(folder / image)


def of_kind(image, kind):
    """The image with another sample type. `tests/reference.rs` does the same."""
    if image.dtype == KINDS[kind]:
        return image
    match kind:
        case "u8":
            return (image // 2).astype(np.uint8)
        case "u16":
            return image.astype(np.uint16) * np.uint16(3)
        case "f32":
            return image.astype(np.float32) / np.float32(7)


def real(image):
    return image.dtype == np.float32


def top(image):
    """What `invert` subtracts from."""
    return np.float32(1) if real(image) else np.iinfo(image.dtype).max


def levels(image, *percents):
    """Values of the image's own type at percentiles, as numbers whose text is exact."""
    return [float(np.float32(v)) if real(image) else int(v) for v in np.percentile(image, percents)]


def sums(image, axis):
    """All sums so far, in the order of the axis."""
    return image.cumsum(axis, dtype=np.float64 if real(image) else np.uint64)


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


def clahe(image, size=None, clip=0.01, bins=256):
    """The levels of equalize_adapthist as shares of the highest, before it stretches them to the ends of its own result."""
    low, high = f64(image.min()), f64(image.max())
    levels = np.round((f64(image) - low) / (high - low) * (_adapthist.NR_OF_GRAY - 1)).astype(np.uint16)
    size = size or [max(n // 8, 1) for n in image.shape]
    return f32(_adapthist._clahe(levels, size, clip, bins) / (_adapthist.NR_OF_GRAY - 1))


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


def round_set(radius, ndim):
    return {2: morphology.disk, 3: morphology.ball}[ndim](radius)


def diamond(radius, ndim):
    return {2: morphology.diamond, 3: morphology.octahedron}[ndim](radius)


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
    ball = round_set(2, ndim)
    drawn = np.array([[0, 1, 1, 0], [1, 1, 1, 1], [0, 0, 0, 1]]).reshape((1,) * (ndim - 2) + (3, 4))
    yield "percentile 20 size=5", lambda m: ndi.percentile_filter(image, 20, 5, mode=m)
    yield f"percentile -12.5 size={text}", lambda m: ndi.percentile_filter(image, -12.5, size, mode=m)
    yield "rank -3 shape=ball radius=2", lambda m: ndi.rank_filter(image, -3, footprint=ball, mode=m)
    yield "rank 2 footprint=0110/1111/0001", lambda m: ndi.rank_filter(image, 2, footprint=drawn, mode=m)
    yield "median shape=ball radius=2", lambda m: ndi.median_filter(image, footprint=ball, mode=m)
    yield "min shape=ball radius=2", lambda m: ndi.minimum_filter(image, footprint=ball, mode=m)
    yield "max footprint=0110/1111/0001", lambda m: ndi.maximum_filter(image, footprint=drawn, mode=m)
    yield "erode footprint=0110/1111/0001", lambda m: ndi.grey_erosion(image, footprint=drawn, mode=m)
    yield "dilate footprint=0110/1111/0001", lambda m: ndi.grey_dilation(image, footprint=drawn, mode=m)
    yield "open shape=ball radius=7", lambda m: ndi.grey_opening(image, footprint=round_set(7, ndim), mode=m)
    yield "close shape=diamond size=5", lambda m: ndi.grey_closing(image, footprint=diamond(2, ndim), mode=m)
    yield "tophat size=9", lambda m: clip_difference(image, ndi.grey_opening(image, size=(9,) * ndim, mode=m))


def points(image):
    """Recipes without a neighbourhood, or with skimage's fixed one: recipe, result."""
    ndim, most = image.ndim, top(image)
    lowest, low, middle, high = levels(image, 1, 35, 50, 97)
    yield "sobel", filters.sobel(f32(image))
    yield "unsharp sigma=2 amount=1.5", filters.unsharp_mask(f32(image), 2, 1.5, preserve_range=True)
    yield "threshold local method=niblack size=9 border=mirror", above(image, filters.threshold_niblack(f64(image), 9))
    yield "threshold local method=sauvola size=9 k=0.1 border=mirror", above(
        image, filters.threshold_sauvola(f64(image) if real(image) else image, 9, k=0.1)
    )
    yield "gamma 0.4", f32(exposure.adjust_gamma(f64(image) / most, 0.4) * most)
    yield "ln", f32(np.log(f64(image)))
    yield "expr \"input / 300\" | exp", f32(np.exp(f64(f32(f64(image) / 300))))
    with np.errstate(over="ignore"):
        yield "exp", f32(np.exp(f64(image)))
    yield "sqrt", f32(np.sqrt(f64(image)))
    yield "abs", image
    yield "laplace | abs", np.abs(ndi.laplace(f32(image)))
    a, b = f64(ndi.gaussian_filter(f32(image), 1)), f64(ndi.gaussian_filter(f32(image), 3))
    named = "gaussian 1 as a | gaussian 3 on=input as b | "
    yield named + "expr \"(a - b) / (a + b + 1)\"", f32((a - b) / (a + b + 1))
    yield named + f"expr \"where(a > b && input >= {middle}, sqrt(a) - b**2 / 7, min(a, max(b, 100)))\"", f32(
        np.where((a > b) & (image >= middle), np.sqrt(a) - b**2 / 7, np.minimum(a, np.maximum(b, 100)))
    )
    yield named + "expr \"exp(-a / 500) + ln(b) * a**1.3\"", f32(np.exp(-a / 500) + np.log(b) * a**1.3)
    yield named + "expr \"a > b\" as m | mask outside=7 on=input,m", np.where(a > b, image, 7).astype(image.dtype)
    yield named + "expr \"a > b\" as m | where on=m,a,b", f32(np.where(a > b, a, b))
    inner = image > middle
    yield f"threshold {middle} as m | invert on=input as i | where on=m,input,i", np.where(inner, image, most - image)
    ends = [np.float32(np.percentile(image, p)) for p in (1, 99.8)]
    yield "normalize", (f32(image) - ends[0]) / (ends[1] - ends[0] + np.float32(1e-20))
    yield "rescale in=100,612 out=0,4", f32((f64(image) - 100) * (4 / 512))
    yield "equalize", f32(exposure.equalize_hist(image))
    for step, reference in (("invert", most - image), ("crop 10:60,20:80", image[..., 10:60, 20:80])):
        if real(image):
            continue
        yield step + " as r | match-histogram on=input,r", f32(exposure.match_histograms(image, reference))
    yield "clahe", clahe(image)
    yield "clahe size=7,16 clip=0.03 bins=100", clahe(image, (1,) * (image.ndim - 2) + (7, 16), 0.03, 100)
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
    color, factor = (9, 4) if real(image) else (60, 1)
    yield f"bilateral {color} sigma-spatial=1.2 size=5 as it | expr \"it * {factor} + 0.22\" | cast u16", whole(
        bilateral(image, 5, color, 1.2) * factor + 0.22, np.uint16
    )
    yield "cast u8", whole(image, np.uint8)
    yield "cast f32", f32(image)
    yield "invert", (most - image).astype(image.dtype)
    yield f"clamp min={low} max={high}", np.clip(image, *np.array([low, high], image.dtype))
    yield f"threshold {middle}", (image > middle).astype(np.uint8)
    mask, second = image > middle, ndi.generate_binary_structure(ndim, 2)
    yield f"threshold {middle} | erode shape=cross radius=1 iterations=3 border=constant", ndi.binary_erosion(
        mask, iterations=3
    ).astype(np.uint8)
    yield f"threshold {middle} | dilate shape=cross radius=1 iterations=10 border=constant", ndi.binary_dilation(
        mask, iterations=10
    ).astype(np.uint8)
    yield f"threshold {middle} | open shape=ball radius=1.5 iterations=2 border=constant", ndi.binary_opening(
        mask, second, iterations=2
    ).astype(np.uint8)
    yield f"threshold {middle} | close size=3 iterations=2 border=constant", ndi.binary_closing(
        mask, ndi.generate_binary_structure(ndim, ndim), iterations=2
    ).astype(np.uint8)
    yield "subtract-background radius=10", image - restoration.rolling_ball(image, radius=10)
    yield "cast f32 | subtract-background radius=6.5", f32(image) - restoration.rolling_ball(f32(image), radius=6.5)
    yield "subtract-background 4 method=tophat", clip_difference(
        image, ndi.grey_opening(image, footprint=round_set(4, ndim))
    )
    blurred = ndi.gaussian_filter(f32(image), 5)
    blurred = blurred if real(image) else np.rint(blurred).astype(image.dtype)
    yield "subtract-background 5 method=gaussian", image - blurred if real(image) else clip_difference(
        image, blurred
    )
    yield "crop " + ",".join(["3:19", "11:60", ":40"][3 - ndim :]), image[(slice(3, 19), slice(11, 60), slice(40))[3 - ndim :]]
    factor = (2, 3, 4)[3 - ndim :]
    text = ",".join(map(str, factor))
    mean = np.nanmean(blocks(image, factor), axis=-1)
    yield f"downsample {text} method=mean", (mean if real(image) else np.rint(mean)).astype(image.dtype)
    yield f"downsample {text} method=max", np.nanmax(blocks(image, factor), axis=-1).astype(image.dtype)
    yield f"downsample {text} method=stride", image[tuple(slice(None, None, f) for f in factor)]
    yield f"downsample {text} method=mode", mode(image, factor)
    yield "project y method=max", image.max(axis=-2)
    yield "project x method=min", image.min(axis=-1)
    yield "project y method=sum", sums(image, -2)[..., -1, :]
    three = "invert as i | stack c on=input,i,input | "
    yield three + "gray", gray(np.stack([image, most - image, image], -1))
    yield three + "channel 1", most - image
    yield three + "channel 1:", np.stack([most - image, image])
    yield "gaussian sigma=1 | median size=3 | sobel", filters.sobel(
        ndi.median_filter(ndi.gaussian_filter(f32(image), 1.0), 3)
    )


def markers(image, **options):
    """The number of each peak in the list of them, counted from 1."""
    out = np.zeros(image.shape, np.uint32)
    for n, point in enumerate(feature.peak_local_max(image, **options)):
        out[tuple(point)] = n + 1
    return out


def objects(image):
    """Recipes whose objects cross tiles: recipe, result."""
    ndim, (low, middle, high) = image.ndim, levels(image, 35, 60, 97)
    mask = image > middle
    inside = f"threshold {middle} as m | mask on=input,m | "
    yield inside + "label", ndi.label(mask)[0].astype(np.uint32)
    yield inside + "fill-holes", ndi.binary_fill_holes(mask).astype(np.uint8)
    for connectivity in range(1, ndim + 1):
        structure = ndi.generate_binary_structure(ndim, connectivity)
        labels = ndi.label(mask, structure)[0]
        yield f"threshold {middle} | label connectivity={connectivity}", labels.astype(np.uint32)
        filled = ndi.binary_fill_holes(mask, structure)
        yield f"threshold {middle} | fill-holes connectivity={connectivity}", filled.astype(np.uint8)
    large = morphology.remove_small_objects(ndi.label(mask)[0], max_size=19)
    yield f"threshold {middle} | label min-size=20", segmentation.relabel_sequential(large)[0].astype(np.uint32)
    inner = segmentation.clear_border(ndi.label(mask)[0])
    yield f"threshold {middle} | label clear-border=yes", segmentation.relabel_sequential(inner)[0].astype(np.uint32)
    step = 8 if real(image) else 40
    steps = (f64(image) // step).astype(np.uint8)
    yield f'expr "floor(input / {step})" | label per-value=yes', measure.label(steps, connectivity=1).astype(np.uint32)
    smooth = ndi.gaussian_filter(f32(image), 2.0, mode="nearest")
    yield "gaussian sigma=2 border=nearest | markers min-distance=3", markers(smooth, min_distance=3)
    yield "markers min-distance=2 exclude-border=0", markers(image, min_distance=2, exclude_border=False)
    rising = filters.apply_hysteresis_threshold(image, low, high)
    yield f"hysteresis low={low} high={high}", rising.astype(np.uint8)
    yield from on_labels(image, f"threshold {middle} | label", ndi.label(mask)[0])
    if not real(image):
        yield from on_values(image)
    few = ndi.label(image > high)[0]
    for text, distance in (("", 1), (" 3", 3), (" distance=4.5", 4.5)):
        yield f"threshold {high} | label | expand{text}", segmentation.expand_labels(few, distance).astype(np.uint32)
    per_axis = (1, 2, 4)[3 - ndim :]
    yield f"threshold {high} | label | expand {','.join(map(str, per_axis))}", segmentation.expand_labels(
        few, 4, spacing=[4 / n for n in per_axis]
    ).astype(np.uint32)


def on_labels(image, before, labels):
    """Recipes that take a label image, which `before` makes."""
    def of(kept):
        return np.where(np.isin(labels, list(kept)), labels, 0).astype(np.uint32)

    counts = np.bincount(labels.ravel())
    yield f"{before} | min-size 20", morphology.remove_small_objects(labels, max_size=19).astype(np.uint32)
    yield f"{before} | max-size 30", of(np.flatnonzero(counts <= 30))
    inner = segmentation.clear_border(labels)
    yield f"{before} | clear-border", inner.astype(np.uint32)
    yield f"{before} | clear-border | relabel", segmentation.relabel_sequential(inner)[0].astype(np.uint32)
    found = measure.regionprops(labels, f64(image))
    bright = {r.label for r in found if r.area > 50 and r.intensity_mean > image.mean()}
    condition = f"area > 50 and intensity_mean > {float(image.mean())!r}"
    yield f"{before} | keep \"{condition}\" intensity=input", of(bright)
    inside = {r.label for r in found if not (r.bbox[-1] > 60 or r.equivalent_diameter_area < 4)}
    yield f"{before} | keep \"not (bbox_max_x > 60 or equivalent_diameter < 4)\"", of(inside)
    for mode in ("thick", "inner", "outer"):
        for connectivity in range(1, image.ndim + 1):
            edges = segmentation.find_boundaries(labels, connectivity, mode)
            yield f"{before} | boundaries {mode} connectivity={connectivity}", edges.astype(np.uint8)


def on_values(image):
    """The same with the image itself as labels, whose objects are in many pieces."""
    counts = np.bincount(image.ravel())

    def of(kept):
        return np.where(kept[image], image, 0).astype(image.dtype)

    yield "min-size 20", of(counts >= 20)
    yield "max-size 30", of(counts <= 30)
    inner = np.ones(counts.shape, bool)
    for axis in range(image.ndim):
        inner[np.take(image, (0, -1), axis)] = False
    yield "clear-border", of(inner)
    yield "relabel", segmentation.relabel_sequential(image)[0].astype(image.dtype)
    yield 'keep "area > 50"', of(counts > 50)
    yield "expand 2", segmentation.expand_labels(image, 2)
    yield "boundaries", segmentation.find_boundaries(image).astype(np.uint8)


def focus(image, size):
    """Each pixel from the first of the planes whose Laplacian varies most over its box, in whole numbers."""
    planes = f64(image) if real(image) else image.astype(np.int64)
    edge = np.pad(planes, [(0, 0), (size // 2 + 1, (size - 1) // 2 + 1), (size // 2 + 1, (size - 1) // 2 + 1)], mode="symmetric")
    rough = edge[:, :-2, 1:-1] + edge[:, 2:, 1:-1] + edge[:, 1:-1, :-2] + edge[:, 1:-1, 2:] - 4 * edge[:, 1:-1, 1:-1]
    windows = np.lib.stride_tricks.sliding_window_view(rough, (size, size), axis=(1, 2))
    sharpness = size**2 * (windows**2).sum(axis=(3, 4)) - windows.sum(axis=(3, 4)) ** 2
    return np.take_along_axis(image, sharpness.argmax(axis=0)[None], axis=0)[0]


def resampled(image, shape, order, mode):
    """The image on a grid of that shape which fills the same extent."""
    out = np.empty(shape, np.float32 if order else image.dtype)
    return ndi.zoom(image, [m / n for n, m in zip(image.shape, shape)], out, order=order, mode=mode, grid_mode=True)


def placed(image, matrix, offset, shape, order, cval=0):
    """Values at `matrix @ o + offset`."""
    kind = np.float32 if order else image.dtype
    return ndi.affine_transform(
        image, np.array(matrix, float), offset, tuple(shape), kind, order=order, mode="constant", cval=cval
    )


def moved(image):
    """Recipes that move voxels, or find values between them: recipe, result."""
    ndim = image.ndim
    most = top(image)
    yield "flip axes=x", np.flip(image, -1)
    yield "flip axes=yx", np.flip(image, (-2, -1))
    yield "transpose", image.transpose()
    for k in (1, 2, 3):
        yield f"rotate90 k={k}", np.rot90(image, k, (-2, -1))
    for border, mode in zip(BORDERS, ("symmetric", "constant", "edge", "reflect", "wrap")):
        amounts = [(0, 0), (5, 9), (30, 30)][3 - ndim :] if ndim == 3 else [(5, 9), (300, 300)]
        before, after = (",".join(str(a[i]) for a in amounts) for i in (0, 1))
        yield f"pad before={before} after={after} border={border}", np.pad(image, amounts, mode=mode)
    yield "invert as i | concat y on=input,i,input", np.concatenate([image, most - image, image], axis=-2)
    yield "invert as i | stack c on=input,i", np.stack([image, most - image])
    yield "invert as i | stack t on=input,i | frame 1", most - image
    yield "invert as i | stack t on=input,i | frame 0:2 | project t method=min", np.minimum(image, most - image)
    yield "project y method=argmax", image.argmax(-2).astype(np.uint32)
    yield "project x method=argmin", image.argmin(-1).astype(np.uint32)
    yield "project y method=median", f32(np.median(image, -2))
    yield "project x method=median", f32(np.median(image, -1))
    yield "project y method=std", f32(np.std(f64(image), -2))
    yield "cumsum x", sums(image, -1)
    yield "cumsum y", sums(image, -2)
    yield "cast f32 | cumsum y", f32(image).cumsum(-2, dtype=np.float64)
    double, odd = [2 * n for n in image.shape], [n * 5 // 7 + 3 for n in image.shape]
    text = ",".join(map(str, odd))
    for border, mode in zip(BORDERS, ("reflect", "grid-constant", "nearest", "mirror", "grid-wrap")):
        yield f"resample 2 border={border}", resampled(image, double, 1, mode)
        yield f"resample shape={text} method=nearest border={border}", resampled(image, odd, 0, mode)
    matrix = [[1.25, -0.5, 0.25], [0.25, 0.75, -0.5], [0, 0.5, 1]][3 - ndim :]
    matrix = [row[3 - ndim :] for row in matrix]
    offset, rows = [0.5, -7.25, 3.75][3 - ndim :], ",".join(str(v) for row in matrix for v in row)
    shift = ",".join(map(str, offset))
    yield f"affine {rows} offset={shift} cval=7", placed(image, matrix, offset, image.shape, 1, 7)
    yield f"affine {rows} offset={shift} shape={text} method=nearest", placed(image, matrix, offset, odd, 0)
    if ndim == 2:
        return
    yield "reslice xz", image.transpose(1, 0, 2)
    yield "reslice yz", image.transpose(2, 0, 1)
    yield "reslice zy", image.transpose(2, 1, 0)
    yield "transpose yxz", image.transpose(1, 2, 0)
    yield "transpose zxy", image.transpose(0, 2, 1)
    yield "rotate90 axes=zx", np.rot90(image, 1, (0, 2))
    yield "project z method=median", f32(np.median(image, 0))
    yield "project z method=argmax", image.argmax(0).astype(np.uint32)
    yield "project z method=std", f32(np.std(f64(image), 0))
    yield "project z method=focus", focus(image, 9)
    yield "project z method=focus size=4", focus(image, 4)
    yield "cumsum z", sums(image, 0)
    nz, ny, nx = image.shape
    sin, cos, step = np.sin(np.deg2rad(40)), np.cos(np.deg2rad(40)), 1.7
    shape = (nz, int(np.ceil(ny - 1 + (nz - 1) * step * cos)) + 1, nx)
    yield "deskew 40 step=1.7 method=nearest", placed(image, [[1, 0, 0], [-step * cos, 1, 0], [0, 0, 1]], [0] * 3, shape, 0)
    shape = (int((ny - 1) * sin) + 1, int((nz - 1) * step + (ny - 1) * cos) + 1, nx)
    matrix = [[-cos / sin / step, 1 / step, 0], [1 / sin, 0, 0], [0, 0, 1]]
    yield "deskew 40 step=1.7 view=slip method=nearest cval=3", placed(image, matrix, [0] * 3, shape, 0, 3)


def shares(rgb, white):
    """Light that passes, as skimage.color has it: at least a millionth."""
    return np.maximum(f64(rgb) / white, 1e-6)


def counted(passing, beta):
    """The pixels in which every channel absorbs at least beta, and none everything."""
    pixels = passing.reshape(-1, 3)
    return pixels[((pixels <= 10.0**-beta) & (pixels > 1e-6)).all(axis=1)]


def macenko(passing, beta=0.15, percent=1):
    """Macenko et al. 2009, with percentiles of slopes as f32 instead of angles; and the 99th percentiles of the amounts."""
    absorbed = -np.log10(counted(passing, beta))
    plane = np.linalg.svd(absorbed, full_matrices=False)[2][:2]
    along, across = plane * np.sign(plane.sum(axis=1, keepdims=True))
    slopes = np.percentile(f32((absorbed @ across) / (absorbed @ along)), [percent, 100 - percent])
    vectors = along + f64(slopes)[:, None] * across
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = vectors[np.argsort(-vectors[:, 0])]
    amounts = absorbed @ np.linalg.pinv(vectors)
    return vectors, f64(np.percentile(f32(amounts), 99, axis=0))


def separated(passing, vectors):
    """Amounts by two vectors and what they leave."""
    return color.separate_stains(passing, np.linalg.inv(np.vstack([vectors, np.cross(*vectors)])))


def macenko_normalized(passing):
    """The light of the image's two stains, scaled, with the vectors of Veta's target."""
    vectors, strengths = macenko(passing)
    amounts = -np.log10(passing) @ np.linalg.pinv(vectors) * [0.8558, 0.4477] / strengths
    return 10 ** -(amounts @ np.array([[0.5626, 0.7201, 0.4062], [0.2159, 0.8012, 0.5581]]))


def reinhard_normalized(passing):
    """Reinhard et al. 2001: means and deviations of l, alpha and beta."""
    cones = np.array([[0.3811, 0.5783, 0.0402], [0.1967, 0.7244, 0.0782], [0.0241, 0.1288, 0.8444]])
    opponents = np.diag([3**-0.5, 6**-0.5, 2**-0.5]) @ [[1, 1, 1], [1, 1, -2], [1, -1, 0]]

    def numbers(light):
        return np.log10(light @ cones.T) @ opponents.T

    own = numbers(counted(passing, 0.15))
    target = (numbers(passing) - own.mean(0)) / own.std(0) * [0.344, 0.081, 0.022] + [-0.82, -0.098, 0.027]
    return 10 ** (target @ np.linalg.inv(opponents).T) @ np.linalg.inv(cones).T


def tissue(rgb, factor, number):
    """A mask of blocks by a number of their mean colours, and for each pixel that of its block."""
    means = [np.nanmean(blocks(rgb[..., c], (factor,) * (rgb.ndim - 1)), axis=-1) for c in range(3)]
    numbers = f32(number(f32(np.stack(means, -1))))
    mask = above(numbers, filters.threshold_otsu(numbers))
    for axis, n in enumerate(rgb.shape[:-1]):
        mask = mask.repeat(factor, axis).take(np.arange(n), axis)
    return mask


def saturation(rgb):
    return (f64(rgb).max(-1) - f64(rgb).min(-1)) / f64(rgb).max(-1)


def of_colours(rgb, white, before=""):
    """Recipes of an image with red, green and blue along its last axis, which `before` makes: recipe, result."""
    passing = shares(rgb, white)

    def first(image):
        # The channels come first, and no zero is below 0.
        image = np.moveaxis(image, -1, 0)
        return f32(image) + np.float32(0)

    yield f"{before}absorbance white={white}", first(-np.log10(passing))
    for name in ("hed", "hdx", "hdab", "fgx", "bex", "rbd", "gdx", "hax", "bro", "bpx", "ahx", "hpx"):
        matrix = getattr(color, name.replace("hdab", "hdx") + "_from_rgb")
        yield f"{before}stain {name} white={white}", first(color.separate_stains(passing, matrix))
    yield f"{before}stain hed", first(color.separate_stains(f64(rgb) if real(rgb) else rgb, color.hed_from_rgb))
    he = [[0.644211, 0.716556, 0.266844], [0.092789, 0.954111, 0.283111]]
    yield f"{before}stain he white={white}", first(separated(passing, he))
    own = np.array([[0.5, 0.6, 0.4], [0.1, 0.9, 0.2], [0.3, 0.2, 0.8]])
    text = ",".join(str(v) for v in own.ravel())
    yield f"{before}stain vectors={text} white={white}", first(color.separate_stains(passing, np.linalg.inv(own)))
    # Sums are rounded to 2^-40, which a last bit of f32 may show.
    def steps(factor):
        return f' as it | expr "it * {factor} + 0.21" | cast u16'

    def rounded(image, factor):
        return whole(f32(f64(f32(np.moveaxis(image, -1, 0))) * factor + 0.21), np.uint16)

    for option, found in (("", macenko(passing)), (" beta=0.05 percentile=5", macenko(passing, 0.05, 5))):
        yield f"{before}stain macenko{option} white={white}{steps(2000)}", rounded(separated(passing, found[0]), 2000)
    for name, made in (("macenko", macenko_normalized(passing)), ("reinhard", reinhard_normalized(passing))):
        step = f"{before}normalize-stain {name} white={white}"
        if real(rgb):
            yield step + steps(7), rounded(white * made, 7)
        else:
            yield step, whole(np.moveaxis(white * made, -1, 0), rgb.dtype)
    yield f"{before}tissue factor=7", tissue(rgb, 7, saturation)
    yield f"{before}tissue factor=4 by=absorbance white={white}", tissue(
        rgb, 4, lambda means: -np.log10(shares(means, white)).mean(-1)
    )


def of_tissue(rgb):
    """Recipes of an image with channels: recipe, result."""
    planes = np.moveaxis(rgb, -1, 0)
    yield "gray", gray(rgb)
    yield "gray weights=0.25,0.5,0.25", gray(rgb, (0.25, 0.5, 0.25))
    yield "gray | sobel", filters.sobel(gray(rgb))
    yield "channel 1", planes[1]
    yield "channel 2,0", planes[[2, 0]]
    yield "channel 1:", planes[1:]
    yield "gaussian sigma=1.5", np.stack([ndi.gaussian_filter(f32(plane), 1.5) for plane in planes])


def cases(folder):
    for name in ("nuclei.tif", "lightsheet.tif"):
        stored = load(folder, name)
        for kind in KINDS:
            image = of_kind(stored, kind)
            for n, (recipe, result) in enumerate(neighbourhoods(image)):
                # Every border of what is stored; of other sample types one by turns.
                for border in BORDERS if image is stored else [BORDERS[n % len(BORDERS)]]:
                    yield name, kind, recipe, border, result(border)
            for recipe, result in (*points(image), *moved(image), *objects(image)):
                yield name, kind, recipe, None, result
    stored = load(folder, "tissue.tif")
    for kind in KINDS:
        rgb = of_kind(stored, kind)
        for recipe, result in (*of_tissue(rgb), *of_colours(rgb, {"u8": 240, "u16": 735.5, "f32": 35.5}[kind])):
            yield "tissue.tif", kind, recipe, None, result
    stored = load(folder, "lightsheet.tif")
    for kind in KINDS:
        image = of_kind(stored, kind)
        rgb = np.stack([image, ndi.median_filter(image, 3), ndi.maximum_filter(image, 3)], -1)
        before = "median size=3 as a | max size=3 on=input as b | stack c on=input,a,b | "
        for recipe, result in of_colours(rgb, {"u8": 200, "u16": 400, "f32": 55.5}[kind], before):
            yield "lightsheet.tif", kind, recipe, None, result
