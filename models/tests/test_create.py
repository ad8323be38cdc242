"""create_model and list_models: shapes, gradients, lazy imports, and one clear error for everything wrong."""

import subprocess
import sys

import pytest
import torch
from torch import nn

import models.units.timm_blocks  # noqa: F401  registers timm's blocks
from models import BadImageSize, BadOption, ModelError, UnknownModel, UnknownOverride, create_model, list_models
from models.units.parts import find_blocks

SMALL = [name for name in list_models() if name.endswith(("_micro", "_mini"))]


def test_importing_and_listing_needs_neither_torch_nor_timm():
    code = "import models, sys; assert models.list_models('vit_*'); print({'torch', 'timm'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


def test_list_models_matches_patterns():
    assert "alter_resnet50" in list_models("alter_*")
    assert all(name.startswith("vit_") for name in list_models("vit_*"))
    assert list_models("no_such_*") == []


@pytest.mark.parametrize("name", SMALL)
def test_logits_and_a_gradient_for_every_parameter(name):
    in_chans, size = (1, 8) if name.endswith("micro") else (3, 32)
    model = create_model(name, num_classes=7, image_size=size, in_chans=in_chans)
    nn.init.normal_(list(model.parameters())[-2])  # timm starts the classifier of a Mixer at zero
    logits = model(torch.randn(3, in_chans, size, size))
    assert logits.shape == (3, 7)
    logits.square().sum().backward()
    without = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert not without
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())


@pytest.mark.parametrize("name", ["resnet18", "preact_resnet18", "alter_resnet18", "vit_tiny"])
def test_imagenet_stem_reduces_the_map_to_seven_or_fourteen(name):
    model = create_model(name, num_classes=5, image_size=224).eval()
    assert model(torch.zeros(1, 3, 224, 224)).shape == (1, 5)


@pytest.mark.parametrize("name", [*SMALL, "levit_128s", "coat_lite_tiny", "convit_tiny", "alter_resnext50"])
def test_stochastic_depth_grows_linearly_with_depth(name):
    size = 8 if name.endswith("_micro") else 32
    with torch.device("meta"):
        model = create_model(name, num_classes=7, image_size=size, drop_path_rate=0.3)
    rates = []
    for _, block, parts in find_blocks(model):
        if any(part.branch for part in parts):
            drops = {module.drop_prob for module in block.modules() if type(module).__name__ == "DropPath"}
            rates.append(max(drops, default=0.0))
            assert len(drops) <= 1
    assert rates == pytest.approx([0.3 * index / (len(rates) - 1) for index in range(len(rates))])


@pytest.mark.parametrize(
    ("error", "says", "name", "options"),
    [
        (UnknownModel, "'resnet50'", "resnet5O", {}),
        (UnknownModel, "valid: alexnet", "zzz", {}),
        (UnknownOverride, "'placement'", "alter_resnet50", {"placment": (0, 1, 1, 2)}),
        (UnknownOverride, "patch_size", "vit_tiny", {"window": 4}),
        (BadOption, "room for 0 to 1 MSAs", "alter_resnet50", {"placement": (2, 1, 1, 2)}),
        (BadOption, "not -1", "alter_resnet50", {"placement": (-1, 1, 1, 2)}),
        (BadOption, "3 stages", "alter_resnet50", {"placement": (0, 1, 1)}),
        (BadOption, "4 stages", "resnet50", {"depths": (3, 4, 6)}),
        (BadOption, "'bottleneck'", "resnet50", {"block": "botleneck"}),
        (BadOption, "'gap'", "vit_tiny", {"pool": "gab"}),
        (BadImageSize, "window=7 does not divide the map of stage 2 of 16 px", "alter_resnet50", {"window": 7}),
        (BadImageSize, "patch_size=5", "vit_tiny", {"patch_size": 5}),
        (BadImageSize, "image_size=0", "vit_tiny", {"image_size": 0}),
        (BadImageSize, "patch_size=2 does not divide an image of 31 px", "vit_tiny", {"image_size": 31}),
        (BadImageSize, "window=7", "alter_resnet50", {"image_size": 256}),
        (BadOption, "num_classes=-3", "resnet18", {"num_classes": -3}),
    ],
)
def test_one_clear_line_before_anything_is_built(error, says, name, options):
    with pytest.raises(error) as caught:
        create_model(name, **{"num_classes": 10, "image_size": 32} | options)
    assert issubclass(error, ModelError)
    assert issubclass(error, ValueError)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_gap_vit_has_no_class_token():
    cls, gap = (create_model("vit_mini", num_classes=7, image_size=32, pool=pool) for pool in ("cls", "gap"))
    assert gap.cls_token is None
    assert cls.cls_token is not None
    width = gap.embed_dim
    difference = sum(p.numel() for p in cls.parameters()) - sum(p.numel() for p in gap.parameters())
    assert difference == 2 * width  # the token and its position


def test_timm_weights_fit_our_resnet():
    from models._timm import timm

    theirs = timm.create_model("resnet18", num_classes=10).eval()
    ours = create_model("resnet18", num_classes=10, image_size=224).eval()
    ours.load_state_dict(theirs.state_dict())
    image = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        assert torch.equal(ours(image), theirs(image))
