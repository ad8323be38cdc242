"""AlterNet's attention against loops, and where its MSA blocks stand."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from models import create_model
from models.alternet import MSABlock, WindowAttention, msa_positions
from models.resnet import drop_rates


def attention_by_loops(layer, x):
    """Window attention written with loops over images, windows, heads, queries and keys, in float64."""
    batch, _channels, height, width = x.shape
    w, heads = layer.window, layer.heads
    weight = layer.to_qkv.weight[:, :, 0, 0]
    inner = weight.shape[0] // 3
    size = inner // heads
    out = torch.zeros(batch, layer.project.out_channels, height, width, dtype=torch.float64)
    for image in range(batch):
        for top in range(0, height, w):
            for left in range(0, width, w):
                cells = [(top + dy, left + dx) for dy in range(w) for dx in range(w)]
                qkv = {cell: weight @ x[image, :, cell[0], cell[1]] for cell in cells}
                for query in cells:
                    joined = torch.zeros(inner, dtype=torch.float64)
                    for head in range(heads):
                        part = slice(head * size, (head + 1) * size)
                        q = qkv[query][:inner][part]
                        scores = []
                        for key in cells:
                            dy, dx = query[0] - key[0] + w - 1, query[1] - key[1] + w - 1
                            score = float(q @ qkv[key][inner : 2 * inner][part]) / math.sqrt(size)
                            scores.append(score + float(layer.position[dy * (2 * w - 1) + dx]))
                        total = sum(math.exp(score) for score in scores)
                        for key, score in zip(cells, scores, strict=True):
                            joined[part] += math.exp(score) / total * qkv[key][2 * inner :][part]
                    projected = layer.project.weight[:, :, 0, 0] @ joined + layer.project.bias
                    out[image, :, query[0], query[1]] = projected
    return out


@pytest.mark.parametrize(("window", "height", "heads"), [(2, 4, 1), (2, 6, 3), (3, 6, 2), (4, 4, 2)])
def test_window_attention_equals_loops(window, height, heads):
    torch.manual_seed(window * heads)
    layer = WindowAttention(channels=5, out=7, heads=heads, dim_head=3, window=window).double()
    nn.init.normal_(layer.position)  # a table of 0.02 would hide a wrong index
    x = torch.randn(2, 5, height, height, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), attention_by_loops(layer, x), rtol=1e-10, atol=1e-12)


def test_windows_do_not_see_each_other():
    layer = WindowAttention(channels=4, out=4, heads=2, dim_head=3, window=4).eval()
    x = torch.randn(1, 4, 8, 8)
    changed = x.clone()
    changed[..., :4, :4] += 1
    difference = (layer(changed) - layer(x)).abs().sum(1)[0]
    assert difference[:4, :4].min() > 0
    difference[:4, :4] = 0
    assert difference.max() == 0


def test_one_position_table_per_layer_shared_by_the_heads():
    layer = WindowAttention(channels=4, out=4, heads=6, dim_head=3, window=7)
    assert layer.position.shape == (13 * 13,)
    assert "index" not in layer.state_dict()


@pytest.mark.parametrize(
    ("name", "size", "layout"),
    [
        ("alter_resnet18", 32, ["CC", "CM", "CM", "CM"]),
        ("alter_resnet34", 224, ["CCC", "CCCM", "CMCMCM", "CMCM"]),
        ("alter_resnet50", 32, ["CCC", "CCCM", "CCCCCM", "CMCM"]),
        ("alter_resnet50", 224, ["CCC", "CCCM", "CMCMCM", "CMCM"]),
        ("alter_resnet101", 224, ["CCC", "CCCM", 17 * "C" + "CMCMCM", "CMCM"]),
        ("alter_resnet152", 224, ["CCC", "CCCCCCCM", 30 * "C" + "CMCMCM", "CMCM"]),
    ],
)
def test_msas_alternate_from_the_end_of_a_stage(name, size, layout):
    """Paper, Figs 11 and D.5; the first block of a stage strides and is always a convolution."""
    with torch.device("meta"):
        model = create_model(name, num_classes=10, image_size=size)
    found = ["".join("M" if isinstance(block, MSABlock) else "C" for block in stage) for stage in model.stages]
    assert found == layout


@given(depth=st.integers(1, 40), data=st.data())
def test_every_second_block_from_the_end_is_an_msa_and_never_the_first(depth, data):
    count = data.draw(st.integers(0, depth // 2))
    positions = sorted(msa_positions(depth=depth, count=count))
    assert len(positions) == count
    assert all(after - before == 2 for before, after in itertools.pairwise(positions))
    assert not positions or (positions[-1] == depth - 1 and positions[0] > 0)
    from_the_start = msa_positions(depth=depth, count=count, from_end=False)
    assert from_the_start == [depth - position for position in reversed(positions)]


@given(rate=st.floats(0, 0.99), depths=st.lists(st.integers(1, 8), min_size=1, max_size=5))
def test_drop_rates_rise_by_equal_steps_from_zero_to_the_rate(rate, depths):
    rates = drop_rates(rate, depths)
    assert [len(stage) for stage in rates] == depths
    flat = [value for stage in rates for value in stage]
    steps = [after - before for before, after in itertools.pairwise(flat)]
    assert flat[0] == 0
    assert len(flat) == 1 or flat[-1] == pytest.approx(rate)
    assert steps == pytest.approx([rate / max(len(flat) - 1, 1)] * len(steps))


def test_msa_block_is_bn_gelu_reduce_bn_attention_and_a_skip():
    block = MSABlock(channels=8, reduced=2, heads=2, dim_head=3, window=2, rate=0.0)
    first, gelu, reduce, second = block.reduce
    x = torch.randn(4, 8, 4, 4)
    expected = x + block.attn(second(reduce(gelu(first(x)))))
    assert [type(layer) for layer in block.reduce] == [nn.BatchNorm2d, nn.GELU, nn.Conv2d, nn.BatchNorm2d]
    torch.testing.assert_close(block(x), expected)
