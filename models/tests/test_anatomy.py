"""anatomy: units, reading after the residual add, lesions, coverage, errors."""

import pytest
import torch
from torch import nn

from models import BadOption, Part, UnknownAnatomy, anatomy, create_model, list_models, register
from models.units.anatomy import to_map

SMALL = [name for name in list_models() if name.endswith(("_micro", "_mini"))]


def small(name, **options):
    torch.manual_seed(0)
    in_chans, size = (1, 8) if name.endswith("micro") else (3, 32)
    model = create_model(name, num_classes=7, image_size=size, in_chans=in_chans, **options).eval()
    for parameter in model.parameters():  # nothing at 0 or 1, so that nothing cancels by luck
        if parameter.ndim < 2 or not parameter.any():
            nn.init.normal_(parameter, std=0.5)
    return model, torch.randn(3, in_chans, size, size)


def read(model, image):
    seen = []
    with torch.no_grad(), anatomy(model).reading(lambda unit, fmap: seen.append((unit, fmap.clone()))):
        logits = model(image)
    return seen, logits


@pytest.mark.parametrize("name", SMALL)
def test_reading_goes_through_the_units_in_order_and_changes_no_bit(name):
    model, image = small(name)
    with torch.no_grad():
        before = model(image)
    seen, logits = read(model, image)
    units = anatomy(model).units
    assert torch.equal(logits, before)
    assert [unit for unit, _ in seen] == units[:-1]
    assert all(tuple(fmap.shape[1:]) == unit.shape for unit, fmap in seen)
    assert [unit.index for unit in units] == list(range(len(units)))
    assert units[0].kind == "stem"
    assert units[-1].kind == "head"
    assert units[0].stage == 0
    assert [unit.depth for unit in units[:-1]] == pytest.approx(torch.linspace(0, 1, len(units) - 1).tolist())
    assert len({unit.name for unit in units}) == len(units)


def test_vit_units_by_hand():
    model, image = small("vit_mini")
    seen, _ = read(model, image)
    x = model._pos_embed(model.patch_embed(image))
    expected = [x]
    for block in model.blocks:
        x = x + block.attn(block.norm1(x))
        expected.append(x)
        x = x + block.mlp(block.norm2(x))
        expected.append(x)
    for (unit, fmap), tokens in zip(seen, expected, strict=True):
        by_hand = tokens[:, 1:].transpose(1, 2).reshape(3, -1, 8, 8)
        torch.testing.assert_close(fmap, by_hand, msg=unit.name)
    assert [unit.name for unit, _ in seen[:3]] == ["patch_embed", "blocks.0.attn", "blocks.0.mlp"]
    assert [unit.kind for unit, _ in seen[:3]] == ["stem", "msa", "mlp"]


def test_resnet_units_by_hand():
    model, image = small("resnet_mini")
    seen, _ = read(model, image)
    expected = [torch.relu(model.bn1(model.conv1(image)))]
    for name in model.stages:
        for b in model.get_submodule(name):
            x = expected[-1]
            y = b.bn3(b.conv3(torch.relu(b.bn2(b.conv2(torch.relu(b.bn1(b.conv1(x))))))))
            expected.append(torch.relu(y + (x if b.downsample is None else b.downsample(x))))
    for (unit, fmap), by_hand in zip(seen, expected, strict=True):
        torch.testing.assert_close(fmap, by_hand, msg=unit.name)


def test_preact_and_alter_units_by_hand():
    model, image = small("alter_resnet_mini")
    seen, _ = read(model, image)
    expected = [model.conv1(image)]
    for stage in model.stages:
        for b in stage:
            x = expected[-1]
            if hasattr(b, "attn"):
                expected.append(x + b.attn(b.reduce(x)))
            else:
                y = torch.relu(b.norm[0](x))
                shortcut = x if b.shortcut is None else b.shortcut(y)
                expected.append(shortcut + b.branch(y))
    for (unit, fmap), by_hand in zip(seen, expected, strict=True):
        torch.testing.assert_close(fmap, by_hand, msg=unit.name)
    kinds = {unit.kind for unit, _ in seen if unit.name in ("stages.1.1", "stages.2.1", "stages.3.1", "stages.3.3")}
    assert kinds == {"msa"}
    assert sum(unit.kind == "msa" for unit, _ in seen) == 4


def test_a_stage_begins_where_the_map_shrinks():
    units = anatomy(small("resnet_mini")[0]).units
    assert [unit.stage for unit in units[:-1]] == [0, 1, 1, 2, 2, 3, 3, 4, 4, 4, 4]
    assert {unit.stage for unit in anatomy(small("vit_mini")[0]).units} == {0, 1}


def test_resnet_stem_is_read_behind_the_max_pool():
    model = create_model("resnet18", num_classes=5, image_size=64).eval()
    assert anatomy(model).units[0].shape == (64, 16, 16)


ENDS = {  # what ends the residual branch of a unit: the last module that has weights and nothing but them behind it
    "BasicBlock": "bn2",
    "Bottleneck": "bn3",
    "PreActBasic": "branch.1.2",
    "PreActBottleneck": "branch.2.2",
    "MSABlock": "attn.project",
    "PostActMSABlock": "norm",
    "LevitBlock": {"msa": "attn.proj.ln.bn", "mlp": "mlp.ln2.bn"},
    "LevitDownsample": {"mlp": "mlp.ln2.bn"},
    "ConvViTBlock": {"msa": "attn.project", "mlp": "mlp.2"},
    "SerialBlock": {"msa": "factoratt_crpe.proj", "mlp": "mlp.fc2"},
    "MixerBlock": {"tokens": "mlp_tokens.fc2", "channels": "mlp_channels.fc2"},
    "Block": {"msa": "attn.proj", "mlp": "mlp.fc2"},
    "SwinTransformerBlock": {"msa": "attn.proj", "mlp": "mlp.fc2"},
}


def silence(model, unit):
    """Zero, by weights, what ends the unit's residual branch."""
    path = unit.name
    while type(model.get_submodule(path)).__name__ not in ENDS:
        path = path.rpartition(".")[0]
    end = ENDS[type(model.get_submodule(path)).__name__]
    if isinstance(end, dict):
        end = end.get(unit.kind) or end[unit.name.rpartition("_")[2]]
    with torch.no_grad():
        for parameter in model.get_submodule(f"{path}.{end}").parameters():
            parameter.zero_()


@pytest.mark.parametrize("name", [*SMALL, "levit_128s", "coat_lite_tiny", "seresnet18", "alter_resnext50"])
def test_lesion_equals_a_branch_silenced_by_hand_and_heals(name):
    options = {"levit_128s": {"depths": (1, 1, 1)}, "coat_lite_tiny": {"depths": (1, 1, 1, 1)}}
    options["alter_resnext50"] = {"depths": (1, 2, 2, 2), "placement": (0, 1, 1, 1)}
    model, image = small(name, **options.get(name, {}))
    parts = anatomy(model)
    with torch.no_grad():
        healthy = model(image)
        state = {key: value.clone() for key, value in model.state_dict().items()}
        branched = [unit for unit in parts.units[1:-1] if unit.kind != "pool"]
        assert len(branched) >= 3
        for unit in branched:
            with parts.lesion(unit):
                lesioned = model(image)
            silence(model, unit)
            torch.testing.assert_close(lesioned, model(image), msg=unit.name)
            assert not torch.equal(lesioned, healthy)
            model.load_state_dict(state)
            assert torch.equal(model(image), healthy)


def test_what_has_no_branch_cannot_be_lesioned():
    model, _ = small("vit_micro")
    parts = anatomy(model)
    for unit in (parts.units[0], parts.units[-1]):
        with pytest.raises(BadOption, match=r"no residual branch.*6 msa, 6 mlp"), parts.lesion(unit):
            pass
    other = anatomy(small("resnet_mini")[0]).units[1]
    with pytest.raises(BadOption, match="not a unit of this network"), parts.lesion(other):
        pass


@pytest.mark.parametrize("name", SMALL)
def test_every_parameter_has_an_owner_and_every_unit_owns_some(name):
    model, _ = small(name)
    parts = anatomy(model)
    owners = [parts.owner(parameter) for parameter, _ in model.named_parameters()]
    assert {unit.name for unit in owners} == {unit.name for unit in parts.units}
    for (name, _), unit in zip(model.named_parameters(), owners, strict=True):
        others = [other.name for other in parts.units if other is not unit and name.startswith(f"{other.name}.")]
        assert not [other for other in others if len(other) > len(unit.name)]


def test_anatomy_leaves_mode_statistics_and_random_numbers_alone():
    model, _ = small("alter_resnet_micro")
    model.train()
    state, random = {key: value.clone() for key, value in model.state_dict().items()}, torch.get_rng_state()
    anatomy(model)
    assert model.training
    assert all(module.training for module in model.modules())
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


def test_reading_and_lesion_together():
    model, image = small("vit_micro")
    parts, seen = anatomy(model), {}
    reading = parts.reading(lambda unit, fmap: seen.update({unit.name: fmap.clone()}))
    with torch.no_grad(), reading, parts.lesion(parts.units[3]):
        model(image)
    assert torch.equal(seen["blocks.1.attn"], seen["blocks.0.mlp"])


class Alien(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        return x + self.body(x)


def test_an_unknown_network_is_refused_with_the_classes_met():
    with pytest.raises(UnknownAnatomy, match=r"Alien x2.*models\.register\("):
        anatomy(nn.Sequential(Alien(), Alien(), nn.Flatten(), nn.Linear(12, 2)), example_shape=(3, 2, 2))


def test_a_person_registers_a_block_in_three_lines():
    class Mine(Alien):
        def forward(self, x):
            return x - self.body(x)

    register(Mine, [Part("", "conv", branch="body")])
    model = nn.Sequential(nn.Conv2d(3, 3, 1), Mine(), Mine(), nn.Flatten(), nn.Linear(12, 2))
    with pytest.raises(UnknownAnatomy, match="example_shape"):
        anatomy(model)
    parts = anatomy(model, example_shape=(3, 2, 2))
    assert [(unit.name, unit.kind) for unit in parts.units] == [
        ("0", "stem"), ("1", "conv"), ("2", "conv"), ("4", "head"),
    ]  # fmt: skip
    image = torch.randn(1, 3, 2, 2)
    with parts.lesion(parts.units[1]), parts.lesion(parts.units[2]):
        torch.testing.assert_close(model(image), model[4](model[0](image).flatten(1)))


def test_a_subclass_with_another_forward_is_not_taken_for_its_base():
    class Known(Alien):
        def forward(self, x):
            return super().forward(x)

    class Doubled(Known):
        def forward(self, x):
            return 2 * super().forward(x)

    register(Known, [Part("", "conv", branch="body")])
    model = nn.Sequential(nn.Conv2d(3, 3, 1), Doubled(), nn.Flatten(), nn.Linear(12, 2))
    with pytest.raises(UnknownAnatomy, match="Doubled"):
        anatomy(model, example_shape=(3, 2, 2))


def test_tokens_become_maps():
    fmap = torch.randn(2, 5, 4, 4)
    tokens = fmap.flatten(2).transpose(1, 2)
    prefixed = torch.cat([torch.zeros(2, 1, 5), tokens], 1)
    for value, options in (
        (fmap, {"prefix": 0}),
        (fmap.movedim(1, -1), {"prefix": 0, "channels_last": True}),
        (tokens, {"prefix": 0}),
        (prefixed, {"prefix": 1}),
        (prefixed, {"prefix": None}),
    ):
        assert torch.equal(to_map(value, **options), fmap)
    wide = torch.randn(2, 5, 2, 8)
    assert torch.equal(to_map(wide.flatten(2).transpose(1, 2), prefix=0, aspect=2 / 8), wide)
    assert torch.equal(to_map(tokens, prefix=1), fmap)  # the class token joins later
    with pytest.raises(UnknownAnatomy, match="30 tokens"):
        to_map(torch.zeros(2, 35, 5)[:, 5:], prefix=0, aspect=0.5)


@pytest.mark.parametrize("name", ["resnet_mini", "preact_resnet_mini", "resnext_mini"])
def test_lesion_of_a_3x3_convolution_is_the_identity_kernel(name):
    """Strided blocks included: a 1 in the centre of the kernel, at stride 2 every second pixel."""
    model, image = small(name)
    parts = anatomy(model)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    with torch.no_grad():
        healthy = model(image)
        for unit in parts.units[1:-1]:
            with parts.lesion(unit, part="conv3x3"):
                lesioned = model(image)
            block = model.get_submodule(unit.name)
            (conv,) = (module for module in block.modules() if getattr(module, "kernel_size", None) == (3, 3))
            nn.init.dirac_(conv.weight, groups=conv.groups)
            torch.testing.assert_close(lesioned, model(image), msg=unit.name)
            assert not torch.equal(lesioned, healthy)
            model.load_state_dict(state)
        assert torch.equal(model(image), healthy)


def test_only_blocks_with_a_square_3x3_convolution_lose_one():
    parts = anatomy(small("alter_resnet_mini")[0])
    msa = next(unit for unit in parts.units if unit.kind == "msa")
    with pytest.raises(BadOption, match="no 3x3 convolution"), parts.lesion(msa, part="conv3x3"):
        pass
    with pytest.raises(BadOption, match="'branch'"), parts.lesion(msa, part="brunch"):
        pass


def test_channels_last_and_bfloat16_change_no_unit():
    for name in ("alter_resnet_mini", "swin_mini"):
        model, image = small(name)
        units = anatomy(model).units
        model = model.to(torch.bfloat16, memory_format=torch.channels_last)
        seen, _ = read(model, image.bfloat16().contiguous(memory_format=torch.channels_last))
        assert [unit for unit, _ in seen] == units[:-1]
        assert all(tuple(fmap.shape[1:]) == unit.shape for unit, fmap in seen)


def test_a_faulty_registration_is_refused():
    with pytest.raises(BadOption, match="takes a class"):
        register("Block", [Part("", "conv")])
    with pytest.raises(BadOption, match="did you mean 'conv'"):
        Part("", "convolution")
    with pytest.raises(BadOption, match="input, output"):
        Part("", "conv", read=("norm", "inside"))


def test_units_that_do_not_run_once_are_refused():
    class Twice(Alien):
        def forward(self, x):
            return x + self.body(x)

    register(Twice, [Part("", "conv", branch="body")])
    block = Twice()
    model = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Sequential(block), nn.ModuleDict({"again": block})["again"])
    with pytest.raises(UnknownAnatomy, match="runs 2 times"):
        anatomy(model, example_shape=(3, 2, 2))
