"""Parameter counts of the authors' code, counted by running it; 10, 100 and 1000 classes, 32 and 224 px."""

import pytest
import torch

from models import create_model

CIFAR, IMAGENET = 32, 224
COUNTS = {
    ("resnet18", IMAGENET): (11_181_642, 11_227_812, 11_689_512),
    ("resnet18", CIFAR): (11_173_962, 11_220_132, 11_681_832),
    ("resnet34", IMAGENET): (21_289_802, 21_335_972, 21_797_672),
    ("resnet34", CIFAR): (21_282_122, 21_328_292, 21_789_992),
    ("resnet50", IMAGENET): (23_528_522, 23_712_932, 25_557_032),
    ("resnet50", CIFAR): (23_520_842, 23_705_252, 25_549_352),
    ("resnet101", IMAGENET): (42_520_650, 42_705_060, 44_549_160),
    ("resnet101", CIFAR): (42_512_970, 42_697_380, 44_541_480),
    ("resnet152", IMAGENET): (58_164_298, 58_348_708, 60_192_808),
    ("resnet152", CIFAR): (58_156_618, 58_341_028, 60_185_128),
    ("preact_resnet18", IMAGENET): (11_179_850, 11_226_020, 11_687_720),
    ("preact_resnet18", CIFAR): (11_172_170, 11_218_340, 11_680_040),
    ("preact_resnet34", IMAGENET): (21_288_010, 21_334_180, 21_795_880),
    ("preact_resnet34", CIFAR): (21_280_330, 21_326_500, 21_788_200),
    ("preact_resnet50", IMAGENET): (23_520_842, 23_705_252, 25_549_352),
    ("preact_resnet50", CIFAR): (23_513_162, 23_697_572, 25_541_672),
    ("preact_resnet101", IMAGENET): (42_512_970, 42_697_380, 44_541_480),
    ("preact_resnet101", CIFAR): (42_505_290, 42_689_700, 44_533_800),
    ("preact_resnet152", IMAGENET): (58_156_618, 58_341_028, 60_185_128),
    ("preact_resnet152", CIFAR): (58_148_938, 58_333_348, 60_177_448),
    ("alter_resnet18", IMAGENET): (9_460_933, 9_507_103, 9_968_803),
    ("alter_resnet18", CIFAR): (9_452_893, 9_499_063, 9_960_763),
    ("alter_resnet34", IMAGENET): (22_325_184, 22_371_354, 22_833_054),
    ("alter_resnet50", IMAGENET): (33_886_528, 34_070_938, 35_915_038),
    ("alter_resnet101", IMAGENET): (52_878_656, 53_063_066, 54_907_166),
    ("alter_resnet152", IMAGENET): (68_522_304, 68_706_714, 70_550_814),
    ("vit_tiny", IMAGENET): (5_519_434, 5_536_804, 5_710_504),
    ("vit_tiny", CIFAR): (5_385_802, 5_403_172, 5_576_872),
    ("vit_small", IMAGENET): (21_655_690, 21_690_340, 22_036_840),
    ("vit_small", CIFAR): (21_388_426, 21_423_076, 21_769_576),
    ("vit_base", IMAGENET): (85_778_698, 85_847_908, 86_540_008),
    ("vit_base", CIFAR): (85_244_170, 85_313_380, 86_005_480),
    ("vit_large", IMAGENET): (303_238_154, 303_330_404, 304_252_904),
    ("vit_large", CIFAR): (302_525_450, 302_617_700, 303_540_200),
}
# The authors' AlterNet has the ImageNet placement by default; at 32 px only its window was changed.
PLACED = {
    ("alter_resnet34", (0, 1, 3, 2)): (22_316_784, 22_362_954, 22_824_654),
    ("alter_resnet50", (0, 1, 3, 2)): (33_878_128, 34_062_538, 35_906_638),
    ("alter_resnet101", (0, 1, 3, 2)): (52_870_256, 53_054_666, 54_898_766),
    ("alter_resnet152", (0, 1, 3, 2)): (68_513_904, 68_698_314, 70_542_414),
}


def count(name, **options):
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in create_model(name, **options).parameters())


@pytest.mark.parametrize(("name", "image_size"), COUNTS)
def test_as_many_parameters_as_the_authors_network(name, image_size):
    counts = tuple(count(name, num_classes=classes, image_size=image_size) for classes in (10, 100, 1000))
    assert counts == COUNTS[name, image_size]


@pytest.mark.parametrize(("name", "placement"), PLACED)
def test_as_many_parameters_with_the_imagenet_placement_at_32_px(name, placement):
    counts = tuple(
        count(name, num_classes=classes, image_size=CIFAR, placement=placement) for classes in (10, 100, 1000)
    )
    assert counts == PLACED[name, placement]


@pytest.mark.parametrize(
    ("placement", "millions"),
    [
        ((0, 0, 0, 0), 28.16),
        ((0, 0, 0, 1), 30.26),
        ((0, 0, 0, 2), 32.36),
        ((0, 0, 1, 2), 32.88),
        ((0, 1, 1, 2), 33.01),
        ((0, 1, 3, 2), 34.06),
    ],
)
def test_alternet_grows_with_its_msas_as_in_the_paper(placement, millions):
    """The paper's build-up (Fig 12a), 100 classes, 32 px."""
    assert count("alter_resnet50", num_classes=100, image_size=32, placement=placement) / 1e6 == pytest.approx(
        millions, abs=0.005
    )


def test_default_placement_on_cifar_is_the_papers():
    papers = count("alter_resnet50", num_classes=100, image_size=32, placement=(0, 1, 1, 2))
    assert count("alter_resnet50", num_classes=100, image_size=32) == papers
