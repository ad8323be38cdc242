"""Spatial smoothing and MC dropout: what they compute, where they sit, what they leave alone."""

import copy
import itertools

import pytest
import torch

from models import BadOption, anatomy, create_model
from models.wrappers import box_blur, drops_always, smooth

CNNS = ["resnet_micro", "preact_resnet_micro", "alter_resnet_micro", "resnext_micro"]


def build(name, **options):
    torch.manual_seed(0)
    return create_model(name, num_classes=5, image_size=8, **options).eval()


def test_box_blur_is_the_mean_of_two_by_two_and_keeps_the_size():
    x = torch.randn(2, 3, 5, 7)
    blurred = box_blur(x)
    assert blurred.shape == x.shape
    for row in range(5):
        for column in range(7):
            rows, columns = [max(row - 1, 0), row], [max(column - 1, 0), column]
            mean = sum(x[..., i, j] for i in rows for j in columns) / 4
            torch.testing.assert_close(blurred[..., row, column], mean)
    torch.testing.assert_close(box_blur(torch.ones(1, 1, 4, 4)), torch.ones(1, 1, 4, 4))


def test_box_blur_halves_nothing_at_zero_frequency_and_everything_at_the_highest():
    checkerboard = (torch.arange(8)[:, None] + torch.arange(8)) % 2 * 2.0 - 1
    assert box_blur(checkerboard[None, None])[..., 1:, 1:].abs().max() == 0


@pytest.mark.parametrize("name", CNNS)
def test_smoothing_acts_on_the_last_unit_of_every_stage_and_on_no_other(name):
    plain, smoothed = build(name), build(name, smoothing=True)
    units, maps = anatomy(plain).units, {}
    ends = [unit for unit, after in itertools.pairwise(units[1:])
            if after.kind == "head" or after.stage > unit.stage]  # fmt: skip
    hooked = [name for name, module in smoothed.named_modules() if module._forward_hooks]
    assert hooked == [unit.name for unit in ends]
    assert len(ends) == 2
    image = torch.randn(2, 3, 8, 8)
    for model in (plain, smoothed):
        with torch.no_grad(), anatomy(model).reading(lambda unit, fmap: maps.setdefault(unit.name, []).append(fmap)):
            model(image)
    before, after = maps[ends[0].name]
    torch.testing.assert_close(after, smooth(before))


def test_vgg_and_alexnet_are_smoothed_before_each_pooling():
    for name, stages in (("vgg11", 5), ("alexnet", 3)):
        with torch.device("meta"):
            model = create_model(name, num_classes=5, image_size=32, smoothing=True)
        hooked = [int(name.split(".")[1]) for name, module in model.named_modules() if module._forward_hooks]
        assert len(hooked) == stages
        assert all(type(model.features[index + 1]).__name__ == "Pool" for index in hooked[:-1])


@pytest.mark.parametrize("name", CNNS)
def test_mc_dropout_draws_anew_in_eval_mode_and_its_mean_follows_the_rate(name):
    model = build(name, mc_dropout=0.3)
    image = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        first, second = model(image), model(image)
        assert not torch.equal(first, second)
        torch.manual_seed(3)
        again = model(image)
        torch.manual_seed(3)
        assert torch.equal(model(image), again)
    dropped = [unit for unit in anatomy(model).units if unit.kind == "conv"]
    zeros, whole = [], build(name)
    place, layer = next((place, module) for place, module in model.named_modules() if module._forward_hooks)
    for module in (layer, whole.get_submodule(place)):
        module.register_forward_hook(lambda module, args, output: zeros.append((output == 0).float().mean().item()))
    whole(image)  # an activation has zeros of its own
    for _ in range(50):
        model(image)
    without, *zeros = zeros
    assert sum(zeros) / len(zeros) == pytest.approx(without + 0.3 * (1 - without), abs=0.02)
    assert sum(bool(module._forward_hooks) for module in model.modules()) == len(dropped)


# The authors' `models/*_mcdo_block.py`: behind conv-BN-ReLU where units are post-activation, else behind a convolution.
@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("resnet18", "act1"),
        ("resnet50", "act2"),
        ("seresnet50", "act2"),
        ("resnext50", "act2"),
        ("preact_resnet18", "branch.0"),
        ("preact_resnet50", "branch.1.2"),
        ("alter_resnet50", "branch.1.2"),
        ("alter_postact_resnet50", "act2"),
        ("vgg11", "2"),
        ("preact_vgg11", "2"),
        ("alexnet", "1"),
    ],
)
def test_mc_dropout_stands_where_the_authors_have_it(name, layer):
    with torch.device("meta"):
        model = create_model(name, num_classes=5, image_size=32, mc_dropout=0.3)
    hooked = {place for place, module in model.named_modules() if module._forward_hooks}
    kinds = ("stem", "conv") if name.endswith(("vgg11", "alexnet")) else ("conv",)  # their first layer is as any other
    assert hooked == {f"{unit.name}.{layer}" for unit in anatomy(model).units if unit.kind in kinds}
    assert drops_always(model)
    if name.startswith(("resnet", "vgg", "alexnet")):
        assert all(isinstance(model.get_submodule(place), torch.nn.ReLU) for place in hooked)


def test_mc_dropout_drops_what_the_second_layer_of_a_block_takes():
    """A zero that dropout made is one for the convolution behind it, which no norm moves."""
    model, taken = build("resnet_micro", mc_dropout=0.5), []
    block = model.layer1[0]
    block.conv3.register_forward_pre_hook(lambda module, args: taken.append(args[0]))
    image = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        model(image)
        plain = build("resnet_micro")
        plain.layer1[0].conv3.register_forward_pre_hook(lambda module, args: taken.append(args[0]))
        plain(image)
    dropped, whole = taken[0], taken[-1]
    kept = dropped != 0
    torch.testing.assert_close(dropped[kept], 2 * whole[kept])  # kept ones make up for the others
    assert 0.4 < kept[whole != 0].float().mean() < 0.6


def test_wrappers_share_weights_with_the_plain_network_and_survive_a_copy():
    plain, wrapped = build("resnet_micro"), build("resnet_micro", smoothing=True, mc_dropout=0.3)
    wrapped.load_state_dict(plain.state_dict())
    image = torch.randn(1, 3, 8, 8)
    twin = copy.deepcopy(wrapped)
    torch.manual_seed(0)
    expected = wrapped(image)
    torch.manual_seed(0)
    assert torch.equal(twin(image), expected)
    assert not torch.equal(plain(image), expected)


def test_a_network_without_convolutions_is_refused():
    for option in ({"smoothing": True}, {"mc_dropout": 0.1}):
        with pytest.raises(BadOption, match="no convolutional unit"):
            build("vit_micro", **option)
    with pytest.raises(BadOption, match=r"mc_dropout=1\.5"):
        build("resnet_micro", mc_dropout=1.5)
