"""The convolutional ViT's local attention against loops."""

import math

import pytest
import torch

from models import BadOption, create_model
from models.conv_vit import LocalAttention


def attention_by_loops(layer, x):
    """Every query attends to its neighbourhood; beyond the border stand keys and values of zero, unmasked."""
    batch, channels, height, width = x.shape
    size, reach = channels // layer.heads, layer.kernel // 2
    q, k, v = layer.to_qkv(x).chunk(3, dim=1)
    joined = torch.zeros_like(x)
    for image in range(batch):
        for row in range(height):
            for column in range(width):
                for head in range(layer.heads):
                    part = slice(head * size, (head + 1) * size)
                    scores, values = [], []
                    for i in range(row - reach, row + reach + 1):
                        for j in range(column - reach, column + reach + 1):
                            inside = 0 <= i < height and 0 <= j < width
                            key = k[image, part, i, j] if inside else torch.zeros(size, dtype=x.dtype)
                            scores.append(math.exp(float(q[image, part, row, column] @ key) / math.sqrt(size)))
                            values.append(v[image, part, i, j] if inside else torch.zeros(size, dtype=x.dtype))
                    for score, value in zip(scores, values, strict=True):
                        joined[image, part, row, column] += score / sum(scores) * value
    return layer.project(joined)


@pytest.mark.parametrize(("kernel", "side", "heads"), [(1, 3, 1), (3, 4, 2), (5, 4, 3), (3, 1, 1)])
def test_local_attention_equals_loops(kernel, side, heads):
    torch.manual_seed(0)
    layer = LocalAttention(dim=6, heads=heads, kernel=kernel, side=side).double()
    x = torch.randn(2, 6, side, side, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), attention_by_loops(layer, x), rtol=1e-10, atol=1e-12)


def test_global_attention_is_torchs():
    torch.manual_seed(0)
    layer = LocalAttention(dim=8, heads=2, kernel=None, side=3).double()
    x = torch.randn(2, 8, 3, 3, dtype=torch.float64)
    q, k, v = (y.unflatten(1, (2, 4)).flatten(3).transpose(2, 3) for y in layer.to_qkv(x).chunk(3, dim=1))
    out = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    torch.testing.assert_close(layer(x), layer.project(out.transpose(2, 3).reshape(2, 8, 3, 3)))


def test_a_pixel_sees_its_neighbourhood_and_nothing_else():
    layer = LocalAttention(dim=4, heads=1, kernel=3, side=7)
    x = torch.randn(1, 4, 7, 7)
    changed = x.clone()
    changed[..., 3, 3] += 1
    difference = (layer(changed) - layer(x)).abs().sum(1)[0]
    assert (difference[2:5, 2:5] > 0).all()
    difference[2:5, 2:5] = 0
    assert difference.max() == 0


def test_the_kernel_changes_no_parameter_and_must_be_odd():
    sizes = set()
    for kernel in (3, 5, "global"):
        model = create_model("conv_vit_mini", num_classes=7, image_size=32, kernel=kernel)
        sizes.add(sum(parameter.numel() for parameter in model.parameters()))
    assert len(sizes) == 1
    for kernel in (4, -1, "all"):
        with pytest.raises(BadOption, match="odd number of pixels, or 'global'"):
            create_model("conv_vit_mini", num_classes=7, image_size=32, kernel=kernel)
