"""timm/<name> and subject/package.module:factory."""

import re
import sys

import pytest
import torch
from torch import nn

from models import BadImageSize, BadOption, NoWeights, UnknownModel, UnknownOverride, anatomy, create_model, describe

SUBJECT = """
from torch import nn

class Net(nn.Sequential):
    pass

def plain(num_classes, image_size):
    return Net(nn.Flatten(), nn.Linear(3 * 36, num_classes))

def grey(num_classes, image_size, in_chans, width=4):
    return Net(nn.Flatten(), nn.Linear(in_chans * image_size**2, width), nn.Linear(width, num_classes))

def pairs(num_classes, image_size):
    return Net(nn.Flatten(), nn.Linear(3 * image_size**2, 2 * num_classes), nn.Unflatten(1, (num_classes, 2)))

def raising(num_classes, image_size):
    raise RuntimeError("no such luck")

def nothing(num_classes, image_size):
    return None
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "my_subject.py").write_text(SUBJECT)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("folder")
def test_a_persons_own_network_gets_classes_size_and_what_else_it_asks_for():
    model = create_model("subject/my_subject:plain", num_classes=4, image_size=6)
    assert model(torch.zeros(2, 3, 6, 6)).shape == (2, 4)
    model = create_model("subject/my_subject:grey", num_classes=4, image_size=6, in_chans=1, width=9)
    assert model[1].out_features == 9
    assert model(torch.zeros(2, 1, 6, 6)).shape == (2, 4)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("error", "says", "target", "options"),
    [
        (UnknownModel, "package.module:factory", "my_subject", {}),
        (UnknownModel, "no_such_module", "no_such_module:net", {}),
        (UnknownModel, "'absent'", "my_subject:absent", {}),
        (UnknownOverride, "'width'", "my_subject:grey", {"widht": 3}),
        (UnknownOverride, "takes no 'width'", "my_subject:plain", {"width": 3}),
        (BadOption, "NoneType", "my_subject:nothing", {}),
        (BadOption, "(1, 4, 2)", "my_subject:pairs", {}),
        (BadImageSize, "3x7x7", "my_subject:plain", {"image_size": 7}),
        (BadOption, "fails: RuntimeError: no such luck (my_subject.py, line 17)", "my_subject:raising", {}),
    ],
)
def test_a_faulty_subject_is_named(error, says, target, options):
    with pytest.raises(error, match=re.escape(says)):
        create_model(f"subject/{target}", **{"num_classes": 4, "image_size": 6} | options)


@pytest.fixture
def own_file(tmp_path):
    """A file beside others of its own, in a folder that is not on the path."""

    def write(text=SUBJECT, **beside):
        for name, content in beside.items():
            (tmp_path / f"{name}.py").write_text(content)
        (tmp_path / "net.py").write_text(text)
        return f"subject/{tmp_path}/net.py"

    return write


def test_a_file_by_its_path_imports_what_lies_beside_it_and_leaves_the_path_as_it_was(own_file):
    late = "\ndef late(num_classes, image_size):\n    import my_late_part\n    return plain(num_classes, image_size)\n"
    name = own_file(f"import my_early_part{SUBJECT}{late}", my_early_part="", my_late_part="")
    before = list(sys.path)
    for factory in ("plain", "late"):
        model = create_model(f"{name}:{factory}", num_classes=4, image_size=6)
        assert model(torch.zeros(2, 3, 6, 6)).shape == (2, 4)
    assert type(model).__module__ != "net"
    assert sys.path == before


def test_a_file_beside_a_models_of_its_own_sees_that_one(tmp_path):
    """As research code usually has it; and two such folders do not see each other's modules."""
    for folder, width in (("one", 3), ("other", 5), ("bare", 7)):
        for path, text in {
            "models/__init__.py": "from models.blocks import block",
            "models/blocks.py": "from torch import nn\nfrom width import WIDTH\n"
            "def block(): return nn.Conv2d(3, WIDTH, 1)",
            "width.py": f"WIDTH = {width}",
            "net.py": "from torch import nn\nfrom models import block\ndef make(num_classes, image_size):\n"
            "    from width import WIDTH\n"
            "    return nn.Sequential(block(), nn.Flatten(), nn.Linear(WIDTH * image_size**2, num_classes))",
        }.items():
            file = tmp_path / folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    (tmp_path / "bare" / "models" / "__init__.py").unlink()  # a folder is a package without it, too
    (tmp_path / "bare" / "net.py").write_text(
        (tmp_path / "bare" / "net.py").read_text().replace("from models import", "from models.blocks import")
    )
    before = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in ("models", "harness")}
    for folder, width in (("one", 3), ("other", 5), ("bare", 7), ("one", 3)):
        model = create_model(f"subject/{tmp_path / folder / 'net.py'}:make", num_classes=4, image_size=6)
        assert model[0].out_channels == width
    after = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in ("models", "harness")}
    assert after == before


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("def plain(:", "net.py:plain cannot be imported: SyntaxError: invalid syntax (net.py, line 1)"),
        ("\n1 / 0", "net.py:plain cannot be imported: ZeroDivisionError: division by zero (net.py, line 2)"),
        ("import models.mine", "'models' is a package of this project, which hides yours of that name: rename yours"),
        ("plain = 3", "has no function 'plain'"),
    ],
)
def test_a_file_that_cannot_be_imported_is_one_line(own_file, text, says):
    with pytest.raises(UnknownModel, match=re.escape(says)) as caught:
        create_model(f"{own_file(text)}:plain", num_classes=4, image_size=6)
    assert "\n" not in str(caught.value)


def test_timm_networks_take_the_image_size_whether_or_not_timm_asks_for_it():
    for name in ("vit_tiny_patch16_224", "resnet18"):
        model = create_model(f"timm/{name}", num_classes=7, image_size=64, in_chans=1).eval()
        assert model(torch.zeros(2, 1, 64, 64)).shape == (2, 7)
        assert anatomy(model).units[-1].kind == "head"


@pytest.mark.parametrize(
    ("error", "says", "name", "options"),
    [
        (UnknownModel, "'resnet18'", "resnet_18", {}),
        (UnknownOverride, "'depht'", "vit_tiny_patch16_224", {"depht": 3}),
        (BadOption, "for 65 px", "twins_svt_small", {"image_size": 65}),
        (BadImageSize, "3x8x8", "inception_v3", {"image_size": 8}),
    ],
)
def test_a_faulty_timm_name_or_option_is_named(error, says, name, options):
    with pytest.raises(error, match=re.escape(says)):
        create_model(f"timm/{name}", **{"num_classes": 7, "image_size": 64} | options)


def test_weights_that_cannot_be_had_are_one_clear_error(monkeypatch):
    def unreachable(*args, **options):
        raise OSError("no connection\nand more lines")

    monkeypatch.setattr("models.foreign.timm.create_model", unreachable)
    with pytest.raises(NoWeights, match="no pretrained weights for resnet18: no connection;"):
        create_model("timm/resnet18", num_classes=7, image_size=64, pretrained=True)


def test_timms_cached_attention_biases_do_not_outlive_a_pass():
    """LeViT and its kin keep them in eval mode; then a second pass has no gradient for them."""
    model = create_model("timm/levit_128s", num_classes=7, image_size=64).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.weight)  # timm starts residual branches at zero
    with torch.no_grad():
        model(torch.randn(2, 3, 64, 64))
    for _ in range(2):
        model.zero_grad()
        model(torch.randn(2, 3, 64, 64)).sum().backward()
        grads = [p.grad for name, p in model.named_parameters() if name.endswith("attention_biases")]
        assert grads
        assert all(grad is not None for grad in grads)


def test_describe_counts_what_can_be_counted_by_hand():
    found = describe("vit_micro", num_classes=10, image_size=8, in_chans=1)
    tokens, width, depth = 17, 48, 6
    block = 4 * tokens * width**2 + 2 * tokens**2 * width + 8 * tokens * width**2
    assert found.macs == depth * block + 16 * 4 * width + width * 10
    assert found.units == {"stem": 1, "msa": 6, "mlp": 6, "head": 1}
    model = create_model("vit_micro", num_classes=10, image_size=8, in_chans=1)
    assert found.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert found.source == "timm"
    assert describe("timm/resnet18", image_size=64).source == "timm"
