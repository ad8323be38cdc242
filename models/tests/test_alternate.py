"""`alternate`: MSA blocks at the stage ends of any CNN (paper, 4.1 and appendix E)."""

import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from models import BadImageSize, BadOption, UnknownAnatomy, UnknownOverride, alternate, anatomy, create_model, register
from models.alternation import fitting_window, stages_of
from models.alternet import MSABlock, PostActMSABlock
from models.units.parts import Part

SLIM = {"channels": (8, 16, 24, 32)}
FOREIGN = {
    "timm/resnet18": (SLIM, (1, 0, 1, 1), PostActMSABlock),
    "timm/resnext50_32x4d": ({"layers": (1, 2, 4, 2), **SLIM, "base_width": 32}, (0, 1, 2, 1), PostActMSABlock),
    "timm/regnetx_002": ({}, (0, 0, 1, 3), PostActMSABlock),
    "timm/convnext_atto": ({"depths": (1, 2, 4, 2), "dims": (8, 16, 24, 32)}, (0, 1, 2, 1), MSABlock),
}


@pytest.fixture(autouse=True)
def one_seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("name", FOREIGN)
def test_a_network_of_timm_trains_has_an_anatomy_and_a_hessian_and_keeps_what_stays(name):
    options, placement, kind = FOREIGN[name]
    model = create_model(name, num_classes=4, image_size=64, **options)
    altered = alternate(model, placement, heads=(1, 1, 2, 2), dim_head=4, window=2)

    units = anatomy(altered).units
    msas = {unit.name for unit in units if unit.kind == "msa"}
    assert len(msas) == sum(placement)
    assert all(type(altered.get_submodule(path)) is kind for path in msas)
    assert sum(unit.kind == "conv" for unit in units) + len(msas) == len(anatomy(model).units) - 2

    before = model.state_dict()
    kept = {key: value for key, value in altered.state_dict().items() if not key.startswith(tuple(msas))}
    gone = [key for key in before if key not in kept]
    assert gone
    assert all(key.startswith(tuple(msas)) for key in gone)
    assert all(torch.equal(value, before[key]) for key, value in kept.items())
    assert not any(unit.kind == "msa" for unit in anatomy(model).units)  # left as it was

    images, labels = torch.randn(4, 3, 64, 64), torch.arange(4)
    optimizer = torch.optim.SGD(altered.parameters(), lr=1e-2)
    loss = F.cross_entropy(altered(images), labels)
    loss.backward()
    moved = altered.get_submodule(min(msas)).attn.to_qkv.weight
    first = moved.detach().clone()
    optimizer.step()
    assert not torch.equal(moved, first)

    altered.eval()
    parameters = [parameter for parameter in altered.parameters() if parameter.ndim > 1]
    gradients = torch.autograd.grad(F.cross_entropy(altered(images), labels), parameters, create_graph=True)
    along = sum((gradient * torch.randn_like(gradient)).sum() for gradient in gradients)
    products = dict(zip(map(id, parameters), torch.autograd.grad(along, parameters), strict=True))
    assert all(product.isfinite().all() for product in products.values())
    assert products[id(moved)].any()


@pytest.mark.parametrize(
    ("name", "other", "msas"),
    [
        (
            "preact_resnet_mini",
            "alter_resnet_mini",
            {"placement": (0, 1, 1, 2), "heads": (2, 2, 4, 8), "dim_head": 16},
        ),
        ("preact_resnet_micro", "alter_resnet_micro", {"placement": (0, 2), "heads": (2, 4), "dim_head": 16}),
        ("resnext50", "alter_resnext50", {"placement": [0, 1, 1, 2]}),
    ],
)
def test_a_resnet_of_ours_becomes_its_alternet(name, other, msas):
    """Name by name and shape by shape; the rates of stochastic depth too."""
    of = {"num_classes": 5, "image_size": 8 if name.endswith("micro") else 32, "drop_path_rate": 0.1}
    options = {"depths": (3, 4, 6, 4)} if name == "resnext50" else {}
    with torch.device("meta"):
        expected = create_model(other, **of)
        found = create_model(name, **of, **options, alternate=msas)
    assert {key: value.shape for key, value in found.state_dict().items()} == {
        key: value.shape for key, value in expected.state_dict().items()
    }
    rates = [
        [module.drop_prob for module in network.modules() if hasattr(module, "drop_prob")]
        for network in (found, expected)
    ]
    assert rates[0] == pytest.approx(rates[1])


class Block(nn.Module):
    def __init__(self, channels, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels * stride, 3, stride, 1)
        self.skip = nn.Conv2d(channels, channels * stride, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x):
        return F.relu(self.skip(x) + self.conv(x))


class Own(nn.Module):
    def __init__(self, *depths):
        super().__init__()
        self.stem, self.blocks, channels = nn.Conv2d(1, 4, 3, 1, 1), nn.Sequential(), 4
        for stage, depth in enumerate(depths):
            for index in range(depth):
                self.blocks.append(Block(channels, 2 if stage and not index else 1))
                channels *= 2 if stage and not index else 1
        self.head = nn.Linear(channels, 3)

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


def test_a_network_of_ones_own():
    register(Block, [Part("", "conv", branch="conv")])
    model = Own(3, 4)
    shape = (1, 8, 8)
    with pytest.raises(UnknownAnatomy, match="does not say what it takes"):
        alternate(model, (1, 2))
    altered = alternate(model, (1, 2), example_shape=shape)
    assert [unit.kind for unit in anatomy(altered).units[1:-1]] == [
        *["conv", "conv", "msa", "conv", "msa", "conv", "msa"]
    ]
    assert isinstance(altered.blocks[6], PostActMSABlock)  # relu() behind the add, no module of its own
    assert [altered.blocks[index].attn.heads for index in (2, 4, 6)] == [3, 6, 6]
    assert altered(torch.zeros(2, *shape)).shape == (2, 3)


def test_an_msa_is_built_where_its_block_was():
    model = create_model("preact_resnet_micro", num_classes=3, image_size=8).double().eval()
    model.stages[1].train()
    altered = alternate(model, (1, 1), heads=(1, 1), dim_head=2)
    assert altered.stages[0][1].attn.to_qkv.weight.dtype is torch.float64
    assert [altered.stages[stage][-1].training for stage in (0, 1)] == [False, True]
    assert (altered.stages[0][1].attn.window, alternate(model, (0, 1), window=2).stages[1][3].attn.window) == (4, 2)


@pytest.mark.parametrize(
    ("name", "size", "error", "says", "options"),
    [
        ("vit_micro", 8, BadOption, "no stage of convolutional blocks", {"placement": (1,)}),
        ("timm/densenet121", 64, BadOption, "stage 1 has 6 blocks, room for 0 to 0", {"placement": (1, 0, 0, 0)}),
        ("resnet_micro", 8, BadOption, "has 3 stages, the network 2, with maps of 8x8, 4x4", {"placement": (0, 1, 1)}),
        ("resnet_micro", 8, BadOption, "stage 2 has 4 blocks, room for 0 to 2 MSAs", {"placement": (0, 3)}),
        ("resnet_micro", 8, BadImageSize, "window=3 does not divide", {"placement": (0, 1), "window": 3}),
        ("resnet_micro", 8, BadOption, "heads=(2,), dim_head=64: expected 2", {"placement": (0, 1), "heads": (2,)}),
        ("resnet_micro", 8, UnknownOverride, "did you mean 'placement'", {"placment": (0, 1)}),
        ("resnet_micro", 8, BadOption, "placement is missing", {"dim_head": 4}),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said_in_a_line(name, size, error, says, options):
    with pytest.raises(error, match=re.escape(says)) as raised, torch.device("meta"):
        create_model(name, num_classes=3, image_size=size, alternate=options)
    assert "\n" not in str(raised.value)


def test_a_network_without_an_anatomy_is_named():
    with pytest.raises(UnknownAnatomy, match="no block class of Sequential is registered"):
        alternate(nn.Sequential(nn.Conv2d(3, 4, 3)), (1,), example_shape=(3, 8, 8))


def test_the_window_that_fits_most_stages():
    def window(name, size):
        with torch.device("meta"):
            return fitting_window(stages_of(create_model(name, num_classes=3, image_size=size)))

    assert (window("timm/resnet18", 224), window("preact_resnet18", 32)) == (7, 4)
    with pytest.raises(BadImageSize, match="no window of 7 or 4 px fits .* maps of 6x6 .*, 3x3"):
        window("preact_resnet_micro", 6)
