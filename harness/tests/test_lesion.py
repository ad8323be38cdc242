from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from harness.errors import HarnessError
from harness.probes import lesion
from models import Part, anatomy, create_model, register

GENERATOR = torch.Generator().manual_seed(0)
IMAGES = torch.randn(60, 1, 8, 8, generator=GENERATOR)
LABELS = torch.randint(10, (60,), generator=GENERATOR)


def network(name):
    torch.manual_seed(0)
    return create_model(name, num_classes=10, image_size=8, in_chans=1).eval()


def batches(size=25):
    return zip(IMAGES.split(size), LABELS.split(size), strict=True)


@torch.no_grad()
def predictions(model):
    return model(IMAGES).argmax(1)


def silenced(model, unit):
    """The network with the last layer of the unit's branch set to zero: an oracle that uses no hook."""
    block = model.get_submodule(unit.name)
    layer = [module for module in block.modules() if isinstance(module, nn.Linear)][-1]
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return model


def test_a_lesion_of_a_branch_costs_what_zeroing_its_weights_costs():
    model = network("vit_micro")
    labels = predictions(model).where(torch.arange(60) % 3 > 0, LABELS)  # about two thirds right
    table = lesion(model, [(IMAGES, labels)], groups=6)
    units = [unit for unit in anatomy(model).units if unit.kind in ("msa", "mlp")]
    assert table.groupby("unit").first().kind.tolist() == [unit.kind for unit in units]
    before = (predictions(model) == labels).float().mean().item()
    for unit in units:
        after = (predictions(silenced(network("vit_micro"), unit)) == labels).float().mean().item()
        rows = table[table.unit == unit.index]
        assert np.average(rows.delta_accuracy, weights=rows.images) == pytest.approx(100 * (after - before), abs=1e-4)
        assert np.average(rows.accuracy, weights=rows.images) == pytest.approx(100 * after, abs=1e-4)


@pytest.mark.parametrize("name", ["vit_micro", "swin_micro"])
def test_an_identity_branch_costs_nothing(name):
    model = network(name)
    for unit in anatomy(model).units:
        if unit.kind in ("msa", "mlp"):
            silenced(model, unit)
    assert set(lesion(model, [(IMAGES, predictions(model))]).delta_accuracy) == {0.0}


def test_an_identity_convolution_costs_nothing():
    model = network("resnet_micro")
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3) and module.in_channels == module.out_channels:
            nn.init.dirac_(module.weight)
    table = lesion(model, [(IMAGES, predictions(model))])
    assert set(table.part) == {"conv3x3"}
    assert set(table.delta_accuracy) == {0.0}


@pytest.mark.parametrize("name", ["resnet_micro", "alter_resnet_micro", "pit_micro"])
def test_the_network_is_restored_exactly(name):
    model = network(name)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        output = model(IMAGES)
        table = lesion(model, batches())
        assert model(IMAGES).equal(output)
    assert table.delta_accuracy.abs().max() > 0
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


def test_every_block_of_a_resnet_loses_its_3x3_convolution_and_attention_its_branch():
    model = network("alter_resnet_micro")
    parts = lesion(model, batches()).drop_duplicates("unit").set_index("unit").part
    assert {unit.index for unit in anatomy(model).units if unit.kind in ("conv", "msa")} == set(parts.index)
    kinds = {unit.index: unit.kind for unit in anatomy(model).units}
    assert all(part == ("conv3x3" if kinds[index] == "conv" else "branch") for index, part in parts.items())


@pytest.mark.parametrize("size", [1, 13, 60])
def test_lesions_do_not_depend_on_the_batches(size):
    model = network("resnet_micro")
    assert lesion(model, batches(size), groups=8).equals(lesion(model, batches(25), groups=8))


def test_without_labels_there_is_no_accuracy():
    for images in ([IMAGES], [(IMAGES, LABELS[:5])], IMAGES):
        with pytest.raises(HarnessError, match="label"):
            lesion(network("vit_micro"), images)


class Pointwise(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(1, 1, 1)

    def forward(self, x):
        return self.convolution(x)


def test_a_network_in_which_nothing_can_be_taken_out_is_refused():
    register(Pointwise, [Part("", "conv")])
    model = nn.Sequential(nn.Conv2d(1, 1, 1), Pointwise(), nn.Flatten(), nn.Linear(64, 10))
    assert anatomy(model, example_shape=(1, 8, 8)).units[1].kind == "conv"
    with pytest.raises(HarnessError, match="no unit with a residual branch"):
        lesion(model, batches())
