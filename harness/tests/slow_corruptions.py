"""CIFAR-C by its definition: one image at a time, in float64, NumPy, SciPy and plain loops. Shares no code with ours.

Every function takes one image x, float64 [side, side, 3] in 0 ... 1, and the draws that are random, and gives uint8.
"""

from __future__ import annotations

import heapq
import io
import math

import numpy as np
from PIL import Image
from scipy import ndimage

# Zoom factor in hundredths: rows of the middle, where they begin, rows after zooming, first one kept.
ZOOMS = {
    **dict.fromkeys((100, 101), (32, 0, 32, 0)),
    **dict.fromkeys((102, 103), (32, 0, 33, 0)),
    104: (31, 0, 32, 0),
    **dict.fromkeys((105, 106), (31, 0, 33, 0)),
    **dict.fromkeys((107, 108), (30, 1, 32, 0)),
    **dict.fromkeys((109, 110), (30, 1, 33, 0)),
    **dict.fromkeys((111, 112), (29, 1, 32, 0)),
    **dict.fromkeys((113, 114), (29, 1, 33, 0)),
    **dict.fromkeys((115, 116), (28, 2, 32, 0)),
    **dict.fromkeys((117, 118), (28, 2, 33, 0)),
    **dict.fromkeys((119, 120), (27, 2, 32, 0)),
    **dict.fromkeys((121, 122, 123), (27, 2, 33, 0)),
    124: (26, 3, 32, 0),
    125: (26, 3, 33, 0),
}


def cut_off(y):
    return np.floor(255 * np.clip(y, 0, 1)).astype(np.uint8)


def blurred(y, sigma):
    return np.stack([ndimage.gaussian_filter(each, sigma, mode="nearest") for each in np.moveaxis(y, -1, 0)], axis=-1)


def gaussian_blur(x, sigma):
    return cut_off(blurred(x, sigma))


def defocus_blur(x, radius, alias):
    g = np.array([math.exp(-(i**2) / (2 * alias**2)) for i in (-1, 0, 1)])
    g /= g.sum()
    across = np.arange(-3, 4)
    disk = (across[:, None] ** 2 + across**2 <= radius**2).astype(float)
    kernel = ndimage.convolve1d(ndimage.convolve1d(disk / disk.sum(), g, axis=0), g, axis=1)
    channels = [ndimage.correlate(each, kernel, mode="mirror") for each in np.moveaxis(x, -1, 0)]
    return cut_off(np.stack(channels, axis=-1))


def zoom_blur(x, factors):
    """In whole numbers: the value of a zoomed pixel is one over (n - 1)²."""
    u = np.rint(255 * x).astype(int)
    scale = 31**2 * 32**2  # of which all (n - 1)² are divisors
    total = scale * u
    for number in range(int(factors)):
        c, t, n, q = ZOOMS[100 + number]
        rows = np.zeros((32, 32), dtype=int)
        for out in range(32):
            whole, rest = divmod((out + q) * (c - 1), n - 1)
            rows[out, t + whole] += n - 1 - rest
            if rest:
                rows[out, t + whole + 1] += rest
        zoomed = np.moveaxis(rows @ np.moveaxis(u, -1, 0) @ rows.T, 0, -1)
        total += zoomed * (scale // (n - 1) ** 2)
    return (total // (scale * (int(factors) + 1))).astype(np.uint8)


def contrast(x, factor):
    mean = np.array([math.fsum(x[..., channel].ravel()) / x[..., channel].size for channel in range(3)])
    return cut_off((x - mean) * factor + mean)


def _hsv(r, g, b):
    v, span = max(r, g, b), max(r, g, b) - min(r, g, b)
    if not span:
        return 0.0, 0.0, v
    if v == b:
        h = 4 + (r - g) / span
    elif v == g:
        h = 2 + (b - r) / span
    else:
        h = (g - b) / span
    return (h / 6) % 1, span / v, v


def _rgb(h, s, v):
    sector = math.floor(6 * h)
    f = 6 * h - sector
    p, q, t = v * (1 - s), v * (1 - f * s), v * (1 - (1 - f) * s)
    return ((v, t, p), (q, v, p), (p, v, t), (p, q, v), (t, p, v), (v, p, q))[sector % 6]


def _in_hsv(x, change):
    out = [_rgb(*change(*_hsv(*map(float, pixel)))) for pixel in x.reshape(-1, 3)]
    return cut_off(np.array(out).reshape(x.shape))


def brightness(x, addition):
    return _in_hsv(x, lambda h, s, v: (h, s, min(max(v + addition, 0), 1)))


def saturate(x, factor, addition):
    return _in_hsv(x, lambda h, s, v: (h, min(max(s * factor + addition, 0), 1), v))


def _picture(x):
    return Image.fromarray(np.rint(255 * x).astype(np.uint8))


def pixelate(x, share):
    small = int(len(x) * share)
    picture = _picture(x).resize((small, small), Image.Resampling.BOX)
    return np.asarray(picture.resize((len(x), len(x)), Image.Resampling.BOX))


def jpeg_compression(x, quality):
    file = io.BytesIO()
    _picture(x).save(file, "JPEG", quality=int(quality))
    return np.asarray(Image.open(file))


def glass_blur(x, sigma, reach, iterations, shifts):
    """`shifts`: of each iteration (right, down), each [rows, columns], for rows and columns from 2 on."""
    assert reach == 1
    y = cut_off(blurred(x, sigma))
    for right, down in shifts[: int(iterations)]:
        for row in range(len(y) - 1, 1, -1):
            for column in range(len(y) - 1, 1, -1):
                y[row, column] = y[row + down[row - 2, column - 2], column + right[row - 2, column - 2]]
    return cut_off(blurred(y / 255, sigma))


def streaked(u, radius, sigma, angle):
    """ImageMagick's motion blur of whole numbers [side, side, channel]."""
    width = 2 * math.ceil(radius) + 1
    k = [math.exp(-(i**2) / (2 * sigma**2)) for i in range(width)]
    sine, cosine = math.sin(math.radians(angle)), math.cos(math.radians(angle))
    out = np.zeros(u.shape)
    last = len(u) - 1
    for row, column in np.ndindex(*u.shape[:2]):
        for i in range(width):
            y = min(max(row + math.ceil(i * sine - 0.5), 0), last)
            z = min(max(column + math.ceil(i * cosine - 0.5), 0), last)
            out[row, column] += k[i] / sum(k) * u[y, z]
    return np.floor(out + 1e-10)  # a flat region stays what it is


def motion_blur(x, radius, sigma, angle):
    return streaked(np.rint(255 * x), radius, sigma, angle).astype(np.uint8)


def snow(x, mean, deviation, zoom, threshold, radius, sigma, weight, normal, angle):
    s, side = mean + deviation * normal, len(x)
    c = math.ceil(side / zoom)
    t = (side - c) // 2
    s = ndimage.zoom(s[t : t + c, t : t + c], zoom, order=1)
    q = (len(s) - side) // 2
    s = s[q : q + side, q : q + side]
    s[s < threshold] = 0
    s = streaked(np.floor(255 * np.clip(s, 0, 1))[..., None], radius, sigma, angle) / 255
    g = (x @ np.array([0.299, 0.587, 0.114]))[..., None]
    return cut_off(weight * x + (1 - weight) * np.maximum(x, 1.5 * g + 0.5) + s + np.rot90(s, 2))


def fog(x, strength, decay, levels):
    """`levels`: uniform numbers in 0 ... 1 of each mesh: of centres, top edges and left edges."""
    side, w, s = len(x), 100.0, len(x)
    p = np.zeros((side, side))

    def at(row, column):
        return p[row % side, column % side]

    for uniform in levels:
        h, n = s // 2, side // s
        centre, top, left = w * (2 * w * uniform - w)
        for i, j in np.ndindex(n, n):
            corners = [at((i + a) * s, (j + b) * s) for a in (0, 1) for b in (0, 1)]
            p[i * s + h, j * s + h] = sum(corners) / 4 + centre[i, j]
        for i, j in np.ndindex(n, n):
            y, z = i * s, j * s
            p[y, z + h] = (at(y + h, z + h) + at(y - h, z + h) + at(y, z) + at(y, z + s)) / 4 + top[i, j]
            p[y + h, z] = (at(y + h, z + h) + at(y + h, z - h) + at(y, z) + at(y + s, z)) / 4 + left[i, j]
        s, w = h, w / decay
    p = (p - p.min()) / (p - p.min()).max()
    return cut_off((x + strength * p[..., None]) * x.max() / (x.max() + strength))


def elastic_transform(x, reach, sigma, affine, shifts, displacements):
    """`shifts`: of three points (column, row), in -affine ... affine; `displacements`: right and down, in -1 ... 1."""
    del affine
    side = len(x)
    high, low = side // 2 + side // 3, side // 2 - side // 3
    source = np.array([[high, high, 1.0], [high, low, 1.0], [low, low, 1.0]])
    forward = np.linalg.solve(source, source[:, :2] + shifts).T  # [2, 3]: (column, row, 1) -> (column, row)
    back = np.linalg.inv(np.vstack([forward, [0, 0, 1]]))
    row, column = np.mgrid[:side, :side].astype(float)
    columns, rows, _ = np.einsum("ij,jyx->iyx", back, np.stack([column, row, np.ones_like(row)]))
    channels = [ndimage.map_coordinates(x[..., c], [rows, columns], order=1, mode="mirror") for c in range(3)]
    right, down = (reach * ndimage.gaussian_filter(each, sigma, mode="reflect", truncate=3) for each in displacements)
    where = [row + down, column + right]
    channels = [ndimage.map_coordinates(each, where, order=1, mode="reflect") for each in channels]
    return cut_off(np.stack(channels, axis=-1))


def spatter(x, mean, deviation, sigma, threshold, strength, mud, normal):
    liquid = ndimage.gaussian_filter(mean + deviation * normal, sigma, mode="nearest")
    liquid[liquid < threshold] = 0
    if mud:
        m = ndimage.gaussian_filter((liquid > threshold).astype(float), strength, mode="nearest")
        m[m < 0.8] = 0
        return cut_off(x * (1 - m[..., None]) + m[..., None] * np.array([63, 42, 20]) / 255)
    distance = np.minimum(chamfer(canny(np.floor(255 * liquid).astype(int))), 20)
    depth = equalised(np.floor(ndimage.uniform_filter(distance, 3, mode="mirror") + 1e-9).astype(int))
    kernel = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])
    relief = np.clip(ndimage.correlate(depth, kernel, mode="mirror"), 0, 255)
    m = liquid * np.rint(ndimage.correlate(relief, np.ones((3, 3), int), mode="mirror") / 9)
    m = m / m.max() * strength if m.max() else m
    return cut_off(x + m[..., None] * np.array([175, 238, 238]) / 255)


def canny(u, low=50, high=150):
    """Canny's edges, a pixel at a time: bool [side, side]."""
    gy = ndimage.correlate(u, np.array([[-1, -2, -1], [0, 0, 0], [1, 2, 1]]), mode="nearest")
    gx = ndimage.correlate(u, np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]), mode="nearest")
    m = np.pad(abs(gx) + abs(gy), 1)
    weak = np.zeros(u.shape, dtype=bool)
    for i, j in np.ndindex(*u.shape):
        here, x, y = m[i + 1, j + 1], gx[i, j], gy[i, j]
        if abs(y) < abs(x) * math.tan(math.pi / 8):
            peak = here > m[i + 1, j] and here >= m[i + 1, j + 2]
        elif abs(y) > abs(x) * math.tan(3 * math.pi / 8):
            peak = here > m[i, j + 1] and here >= m[i + 2, j + 1]
        else:
            slope = -1 if (x < 0) != (y < 0) else 1
            peak = here > m[i, j + 1 - slope] and here > m[i + 2, j + 1 + slope]
        weak[i, j] = peak and here > low
    groups, _ = ndimage.label(weak, np.ones((3, 3)))
    return np.isin(groups, np.unique(groups[weak & (m[1:-1, 1:-1] > high)]))


def chamfer(zero):
    """Dijkstra's shortest ways to a pixel that is `zero`, with steps of 1, 1.4 and 2.1969."""
    costs = {1: 1.0, 2: 1.4, 5: 2.1969}
    moves = [(y, x, costs[y * y + x * x]) for y in range(-2, 3) for x in range(-2, 3) if y * y + x * x in costs]
    found = np.where(zero, 0.0, np.inf)
    queue = [(0.0, int(y), int(x)) for y, x in np.argwhere(zero)]
    while queue:
        length, row, column = heapq.heappop(queue)
        if length > found[row, column]:
            continue
        for y, x, cost in moves:
            place = row + y, column + x
            inside = all(0 <= each < len(zero) for each in place)
            if inside and length + cost < found[place]:
                found[place] = length + cost
                heapq.heappush(queue, (length + cost, *place))
    return np.where(np.isinf(found), 1e9, found)


def equalised(u):
    counts = np.bincount(u.ravel(), minlength=256)
    least = u.min()
    if counts[least] == u.size:
        return u
    table = np.rint(np.clip((counts.cumsum() - counts[least]) * 255 / (u.size - counts[least]), 0, 255)).astype(int)
    return table[u]
