"""Anatomy of timm's own networks: nobody listed them, their block classes are recognised."""

from __future__ import annotations

import collections

import pytest
import torch
from torch import nn

import models.units.timm_blocks
from models import UnknownAnatomy, anatomy
from models._timm import timm

# One network for every kind of rule, with an input small enough for a laptop.
FEW = {
    "vit_tiny_patch16_224": {"img_size": 64},
    "vit_small_patch16_18x2_224": {"img_size": 64},  # parallel attentions: units that cannot be lesioned
    "deit_tiny_distilled_patch16_224": {"img_size": 64},
    "beit_base_patch16_224": {"img_size": 64},
    "swinv2_tiny_window8_256": {"img_size": 64},
    "convnext_atto": {},
    "mobilenetv3_small_050": {},
    "efficientformer_l1": {},
    "cait_xxs24_224": {"img_size": 64},
    "caformer_s18": {},
    "levit_128s": {"img_size": 64},
    "regnetx_002": {},
    "halonet26t": {},
    "resmlp_12_224": {"img_size": 64},
}
# Their skip is scaled, normalised or projected, or something stands between two units: nothing to compare with.
SKIPS_THAT_TRANSFORM = {
    "byobnet", "cspnet", "davit", "dla", "regnet", "repvit", "resnest", "rexnet", "tiny_vit", "vovnet",
    "xception_aligned",
}  # fmt: skip
WITHOUT_UNITS = {"hiera": "unrolled", "tnt": "pixels", "dpn": "dense stream", "crossvit": "several sizes"}


def build(name, **options):
    """Random weights, nothing at 0 or 1, no layer scale that hides a branch."""
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=5, **options).eval()
    for parameter in model.parameters():
        if parameter.ndim < 2 or parameter.abs().max() < 1e-3:
            nn.init.normal_(parameter, std=0.5)
    size = options.get("img_size", model.pretrained_cfg["input_size"][-1])
    model.example_shape = (3, size, size)
    return model, torch.randn(1, 3, size, size)


def check(model, image, *, lesions):
    """Reading leaves no trace; a lesioned unit whose skip is the identity hands on the map before it."""
    parts, maps, healed = anatomy(model), {}, 0
    with torch.no_grad():
        before = model(image)
        with parts.reading(lambda unit, fmap: maps.update({unit.index: fmap.clone()})):
            assert torch.equal(model(image), before)
        branched = [unit for unit in parts.units[1:-1] if parts.has_branch(unit)]
        for unit in branched[:: max(len(branched) // lesions, 1)]:
            seen = {}
            with (
                parts.lesion(unit),
                parts.reading(lambda unit, fmap, seen=seen: seen.update({unit.index: fmap.clone()})),
            ):
                model(image)
            healed += seen[unit.index].shape == maps[unit.index - 1].shape and torch.equal(
                seen[unit.index], maps[unit.index - 1]
            )
        assert torch.equal(model(image), before)
    assert len(maps) == len(parts.units) - 1
    return healed, len(branched)


@pytest.mark.parametrize("name", FEW)
def test_units_of_a_network_that_nobody_listed(name):
    healed, branched = check(*build(name, **FEW[name]), lesions=8)
    assert healed >= 1 or not branched


def test_every_rule_names_a_class_of_this_timm():
    if timm.__version__ != "1.0.31":
        pytest.skip(f"rules are written for timm 1.0.31, this is {timm.__version__}")
    assert models.units.timm_blocks.MISSING == []


@pytest.mark.parametrize("family", WITHOUT_UNITS)
def test_what_makes_no_map_is_refused_with_the_reason(family):
    name = next(name for name in timm.list_models() if name.startswith(family))
    with torch.device("meta"):
        model = timm.create_model(name)
    with pytest.raises(UnknownAnatomy, match=WITHOUT_UNITS[family]):
        anatomy(model)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("resnet18", {"stem": 1, "conv": 8, "head": 1}),
        ("resnetv2_50", {"stem": 1, "conv": 16, "head": 1}),
        ("vit_small_patch16_224", {"stem": 1, "msa": 12, "mlp": 12, "head": 1}),
        ("swin_tiny_patch4_window7_224", {"stem": 1, "msa": 12, "mlp": 12, "pool": 3, "head": 1}),
        ("pit_ti_224", {"stem": 1, "msa": 12, "mlp": 12, "pool": 2, "head": 1}),
        ("twins_svt_small", {"stem": 1, "msa": 18, "mlp": 18, "pool": 3, "head": 1}),
        ("mixer_s16_224", {"stem": 1, "mlp": 16, "head": 1}),
        ("coatnet_0_rw_224", {"stem": 1, "conv": 5, "msa": 9, "mlp": 9, "head": 1}),
        ("xcit_nano_12_p16_224", {"stem": 1, "msa": 12, "conv": 12, "mlp": 12, "head": 1}),
    ],
)
def test_kinds_of_well_known_networks(name, kinds):
    with torch.device("meta"):
        model = timm.create_model(name)
    assert collections.Counter(unit.kind for unit in anatomy(model).units) == kinds


def families():
    """Three networks of every module of timm: the first, the middle and the last of their names."""
    for module in timm.list_modules():
        names = timm.list_models(module=module)
        yield from sorted({names[0], names[len(names) // 2], names[-1]}) if names else ()


@pytest.mark.slow
def test_at_least_200_networks_of_all_families_and_a_reason_for_every_other(capsys):
    found, refused = [], {}
    for name in families():
        with torch.device("meta"):
            model = timm.create_model(name, num_classes=5)
        try:
            units = anatomy(model).units
        except UnknownAnatomy as error:
            refused[name] = str(error)
        else:
            assert len(units) >= 3
            assert units[-1].stage >= 1
            found.append(name)
    with capsys.disabled():
        print(f"\n{len(found)} of {len(found) + len(refused)} networks have an anatomy; refused:")
        for name, reason in refused.items():
            print(f"  {name}: {reason[:100]}")
    assert len(found) >= 200
    assert all("register" in reason or "is known, but" in reason for reason in refused.values())


@pytest.mark.slow
@pytest.mark.parametrize("module", timm.list_modules())
def test_the_smallest_network_of_every_family_in_numbers(module):
    """Real arithmetic at timm's own input size, for the network with the fewest parameters."""
    sizes = {}
    for name in timm.list_models(module=module):
        with torch.device("meta"):
            model = timm.create_model(name, num_classes=5)
        sizes[name] = sum(parameter.numel() for parameter in model.parameters())
        if len(sizes) == 6:  # enough to find a small one
            break
    if not sizes or min(sizes.values()) > 120e6:
        pytest.skip("no network of a size for one core")
    model, image = build(min(sizes, key=sizes.get))
    try:
        healed, branched = check(model, image, lesions=6)
    except UnknownAnatomy as error:
        pytest.skip(str(error)[:200])
    assert healed or not branched or module in SKIPS_THAT_TRANSFORM
