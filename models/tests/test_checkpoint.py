"""Checkpoints: ours, the layouts of the four that the authors released, and everything that must be refused."""

import os
import re
from collections import OrderedDict

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from models import BadCheckpoint, create_model


class TheirBottleneck(nn.Module):
    """A bottleneck that names its layers as the authors' code does."""

    def __init__(self, channels, width, stride):
        super().__init__()
        out = 4 * width
        self.shortcut = nn.Sequential()
        if stride != 1 or channels != out:
            self.shortcut = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))
        self.conv1 = nn.Sequential(nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.conv2 = nn.Sequential(
            nn.Conv2d(width, width, 3, stride, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.conv3 = nn.Sequential(nn.Conv2d(width, out, 1, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        return torch.relu(self.conv3(self.conv2(self.conv1(x))) + self.shortcut(x))


class TheirHead(nn.Module):
    def __init__(self, channels, classes):
        super().__init__()
        self.dense = nn.Linear(channels, classes)

    def forward(self, x):
        return self.dense(x.mean((2, 3)))


def their_resnet(widths, depths, classes):
    layers = OrderedDict(
        layer0=nn.Sequential(nn.Conv2d(3, widths[0], 3, padding=1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU())
    )
    channels = widths[0]
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True), start=1):
        blocks = []
        for index in range(depth):
            blocks.append(TheirBottleneck(channels, width, 2 if stage > 1 and not index else 1))
            channels = 4 * width
        layers[f"layer{stage}"] = nn.Sequential(*blocks)
    layers["classifier"] = nn.Sequential(TheirHead(channels, classes))
    return nn.Sequential(layers)


def randomise(model):
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            value.uniform_(0.5, 1.5) if name.endswith("running_var") else value.normal_(std=0.3)
    return model.eval()


def save(folder, model_or_state):
    state = model_or_state if isinstance(model_or_state, dict) else model_or_state.state_dict()
    path = folder / "net_cifar100_0123456789.pth.tar"
    torch.save({"name": "net", "state_dict": state, "optimizer": {"state": {}, "param_groups": []}}, path)
    return path


def test_the_authors_resnet_computes_the_same_here(tmp_path):
    theirs = randomise(their_resnet((8, 16), (2, 3), 100))
    path = save(tmp_path, theirs)
    ours = create_model("resnet50", num_classes=100, image_size=32, widths=(8, 16), depths=(2, 3), checkpoint=path)
    image = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(image), theirs(image))


def as_timm_05(name, state):
    """The names that timm 0.5.4 gave to what timm 1 has: pooling and merging stood at the end of a stage."""
    if name == "vit_tiny":
        return state
    older = {}
    for key, value in state.items():
        if name == "pit_tiny":
            key = re.sub(r"transformers\.(\d)\.pool", lambda m: f"transformers.{int(m[1]) - 1}.pool", key)
        if name == "swin_tiny":
            key = re.sub(r"layers\.(\d)\.downsample", lambda m: f"layers.{int(m[1]) - 1}.downsample", key)
            key = key.replace("head.fc.", "head.")
        older[key] = value
    if name == "swin_tiny":
        older["layers.0.blocks.1.attn_mask"] = torch.zeros(16, 16, 16)
        older["layers.0.blocks.1.attn.relative_position_index"] = torch.zeros(16, 16, dtype=torch.long)
    return older


@pytest.mark.parametrize("name", ["vit_tiny", "pit_tiny", "swin_tiny"])
def test_released_transformers_of_an_older_timm_load(name, tmp_path):
    options = {"num_classes": 100, "image_size": 32}
    options |= {"depth": 2} if name == "vit_tiny" else {"depths": (1, 1, 1), "heads": (2, 4, 8)}
    source = randomise(create_model(name, **options))
    loaded = create_model(name, **options, checkpoint=save(tmp_path, as_timm_05(name, source.state_dict()))).eval()
    image = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(loaded(image), source(image))


def test_safetensors_plain_state_dicts_and_wrapped_names_load(tmp_path):
    source = randomise(create_model("resnet_micro", num_classes=4, image_size=8))
    state = source.state_dict()
    save_file(state, tmp_path / "a.safetensors")
    torch.save(state, tmp_path / "b.pt")
    torch.save({"state_dict": {f"module._orig_mod.{name}": value for name, value in state.items()}}, tmp_path / "c.pt")
    for file in ("a.safetensors", "b.pt", "c.pt"):
        loaded = create_model("resnet_micro", num_classes=4, image_size=8, checkpoint=str(tmp_path / file))
        assert all(torch.equal(value, state[name]) for name, value in loaded.state_dict().items())


class Malicious:
    def __reduce__(self):
        return os.system, ("touch was_here",)


def test_a_file_that_would_run_code_is_not_loaded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Malicious()}, tmp_path / "evil.pth.tar")
    with pytest.raises(BadCheckpoint, match=r"evil\.pth\.tar holds more than tensors"):
        create_model("resnet_micro", num_classes=4, image_size=8, checkpoint=tmp_path / "evil.pth.tar")
    assert not (tmp_path / "was_here").exists()


def test_what_does_not_fit_is_named(tmp_path):
    def load(path, **options):
        return create_model("resnet_micro", **{"num_classes": 4, "image_size": 8, "checkpoint": path} | options)

    path = save(tmp_path, create_model("resnet_micro", num_classes=4, image_size=8))
    with pytest.raises(BadCheckpoint, match=r"2 of another shape \(fc.bias, fc.weight\)"):
        load(path, num_classes=9)
    with pytest.raises(BadCheckpoint, match=r"does not fit ResNet: \d+ missing \(.*unknown \("):
        load(save(tmp_path, create_model("vit_micro", num_classes=4, image_size=8)))
    with pytest.raises(BadCheckpoint, match="no checkpoint at"):
        load(tmp_path / "absent.pt")
    (tmp_path / "text.pt").write_text("this is no checkpoint")
    with pytest.raises(BadCheckpoint, match="damaged"):
        load(tmp_path / "text.pt")
    (tmp_path / "text.safetensors").write_text("this is no checkpoint")
    with pytest.raises(BadCheckpoint, match=r"text\.safetensors"):
        load(tmp_path / "text.safetensors")
    torch.save({"state_dict": {"epoch": 3}}, tmp_path / "numbers.pt")
    with pytest.raises(BadCheckpoint, match="no state_dict"):
        load(tmp_path / "numbers.pt")
