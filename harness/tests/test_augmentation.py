from __future__ import annotations

import math
import random
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats

from harness.training import image_ops
from harness.training.augment import crop_and_flip
from harness.training.erase import AREA, ASPECT, draw_boxes, random_erase
from harness.training.mix import box_weight, draw_weight, mix, soft_targets
from harness.training.randaugment import Draws, Operation, apply, draw, everywhere, rand_augment
from models._timm import timm  # brings torchvision in the one way that works everywhere

from timm.data import auto_augment, mixup, random_erasing  # isort: skip

TIMM = tuple(int(number) for number in timm.__version__.split(".")[:3])

FILL = (125, 123, 114)
TIMM_NAME = {  # timm's names; those in the second tuple have an "Increasing" sibling
    **{operation: operation.name.title().replace("_", "") for operation in Operation},
    Operation.TRANSLATE_X: "TranslateXRel",
    Operation.TRANSLATE_Y: "TranslateYRel",
}
SCALED = ("Posterize", "Solarize", "Color", "Contrast", "Brightness", "Sharpness")
GEOMETRIC = [operation for operation in Operation if operation >= Operation.ROTATE]
POINTWISE = [operation for operation in Operation if operation not in GEOMETRIC]
LEVELS = [0.0, 0.4, 2.5, 4.99, 7.3, 9.0, 9.7, 10.0]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(channels=3, height=32, width=32):
    """Smooth, noisy, flat, dark, two-valued and nearly flat images: what makes integer arithmetic go wrong."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width] / max(height, width)
    waves = [128 + 120 * np.sin(7 * (x * math.cos(a) + y * math.sin(a)) + a) for a in range(channels)]
    shape = (channels, height, width)
    noise = rng.integers(0, 256, shape)
    flat = np.full(shape, 200)
    nearly = np.where(rng.random(shape) < 0.02, 90, 91)
    images = [np.stack(waves), noise, flat, noise // 9, np.where(noise > 99, 255, 0), nearly, noise // 2 + 100]
    return torch.from_numpy(np.stack(images).astype(np.uint8))


def to_pil(image):
    array = image.permute(1, 2, 0).numpy()
    return Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)


def from_pil(image):
    array = np.array(image)
    return torch.from_numpy(array[None] if array.ndim == 2 else array.transpose(2, 0, 1))


def same_draws(batch, operation, level, sign=1, bicubic=False):
    return Draws(
        operation=torch.full((batch,), int(operation)),
        applied=torch.ones(batch, dtype=torch.bool),
        level=torch.full((batch,), level, dtype=torch.float64),
        sign=torch.full((batch,), sign, dtype=torch.float64),
        bicubic=torch.full((batch,), bicubic),
    )


@pytest.fixture
def by_timm(monkeypatch):
    """timm's operation on a batch, image by image, with a given sign and interpolation."""

    def transform(images, operation, level, sign=1, bicubic=False, increasing=False):
        monkeypatch.setattr(auto_augment, "_randomly_negate", lambda value: sign * value)
        name = TIMM_NAME[operation]
        name += "Increasing" if increasing and name in SCALED else ""
        interpolation = Image.Resampling.BICUBIC if bicubic else Image.Resampling.BILINEAR
        hparams = {"img_mean": FILL[: images.shape[1]], "interpolation": interpolation}
        one = auto_augment.AugmentOp(name, prob=1.0, magnitude=level, hparams=hparams)
        return torch.stack([from_pil(one(to_pil(image))) for image in images])

    return transform


# --- operations against PIL ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 8, 8), (3, 9, 14)], ids=str)
@pytest.mark.parametrize("increasing", [False, True], ids=["plain", "increasing"])
@pytest.mark.parametrize("operation", POINTWISE, ids=lambda operation: operation.name)
def test_every_pointwise_operation_is_pils_to_the_bit(operation, increasing, shape, by_timm):
    images = pictures(*shape)
    before = images.clone()
    for level in LEVELS:
        for sign in (1, -1):
            draws = same_draws(len(images), operation, level, sign)
            ours = apply(images.clone(), draws, fill=FILL[: shape[0]], increasing=increasing)
            # Pillow refuses to keep 0 bits; timm then fails, where older versions gave a black image.
            if operation is Operation.POSTERIZE and (level < 2.5) == (not increasing) and level in (0, 0.4, 10):
                expected = torch.zeros_like(images)
            else:
                expected = by_timm(images, operation, level, sign, increasing=increasing)
            assert torch.equal(ours, expected), (level, sign)
    assert torch.equal(images, before)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 8, 8), (3, 9, 14)], ids=str)
@pytest.mark.parametrize("bicubic", [False, True], ids=["bilinear", "bicubic"])
@pytest.mark.parametrize("operation", GEOMETRIC, ids=lambda operation: operation.name)
def test_every_geometric_operation_is_pils_to_one_grey_level(operation, bicubic, shape, by_timm):
    """PIL interpolates in float64 and cuts the fraction off, float32 lands on the integer's other side now and then.

    The levels are crooked, as drawn ones are: where a pixel moves by 2/5, a fifth of the exact values are integers, and
    then the last bit of PIL's float64 decides. Seen: none to 0.1% of the values at 32×32 and 8×8; up to 0.4% where the
    side is not a power of two, because grid_sample's coordinates, in shares of the side, are then rounded.
    """
    images = pictures(*shape)
    differ = total = 0
    for level in [0.0, *(math.pi * k for k in (0.1, 0.7, 1.6, 2.2, 2.9, 3.1))]:
        for sign in (1, -1):
            draws = same_draws(len(images), operation, level, sign, bicubic)
            ours = apply(images.clone(), draws, fill=FILL[: shape[0]], increasing=False)
            difference = (ours.int() - by_timm(images, operation, level, sign, bicubic).int()).abs()
            assert difference.max() <= 1, (level, sign)
            differ, total = differ + int((difference > 0).sum()), total + difference.numel()
    assert differ / total < (5e-3 if shape[1] == 9 else 1e-3)


def test_color_leaves_an_image_of_one_channel_alone():
    image = pictures(channels=1)
    assert torch.equal(image_ops.color(image, torch.full((len(image),), 1.9)), image)


def test_taking_every_step_with_all_images_gives_what_the_groups_give_and_never_asks_for_a_value(monkeypatch):
    """What a GPU does, on the CPU; and on the meta device, which has no values, so that asking for one fails."""
    images, draws = pictures().repeat(30, 1, 1, 1), draw(210, 5, 3.0, 0.8, generator())
    grouped = apply(images, draws, fill=FILL, increasing=True)
    monkeypatch.setattr("harness.training.randaugment.in_groups", everywhere)
    assert torch.equal(apply(images, draws, fill=FILL, increasing=True), grouped)
    on_meta = Draws(*(field.to("meta") for field in draws))
    assert apply(images.to("meta"), on_meta, fill=FILL, increasing=False).shape == images.shape


# --- RandAugment against timm's distribution ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def timms_draws():
    """Of 4000 images: the applied operations of each, and all levels, as timm's own code draws them."""
    random.seed(0), np.random.seed(0)
    transform = auto_augment.rand_augment_transform("rand-m9-n2-mstd1.0", {"img_mean": FILL})
    levels = []
    for one in transform.ops:
        one.level_fn = lambda level, hparams: levels.append(level) or ()
        one.aug_fn = lambda image, name=one.name, **_: [*image, name]
    applied = [transform([]) for _ in range(4000)]
    return applied, np.array(levels)


def test_operations_and_levels_are_distributed_as_timms(timms_draws):
    applied, levels = timms_draws
    stream = generator(1)
    layers = [draw(4000, 9, 1.0, 0.5, stream) for _ in range(2)]

    timms = Counter(name for names in applied for name in names)
    ours = Counter(TIMM_NAME[Operation(int(number))] for layer in layers for number in layer.operation[layer.applied])
    names = sorted(TIMM_NAME.values())
    assert set(timms) == set(ours) == set(names)
    table = [[counts[name] for name in names] for counts in (timms, ours)]
    assert stats.chi2_contingency(table).pvalue > 1e-3

    per_image = sum(layer.applied.int() for layer in layers).bincount().tolist()
    assert stats.chi2_contingency([per_image, np.bincount([len(names) for names in applied])]).pvalue > 1e-3
    assert stats.chisquare(per_image, [1000, 2000, 1000]).pvalue > 1e-3

    drawn = torch.cat([layer.level for layer in layers]).numpy()
    assert stats.ks_2samp(drawn, levels).pvalue > 1e-3
    assert abs((drawn == 10).mean() - stats.norm.sf(1)) < 0.02  # clipped: one standard deviation above 9
    for field in ("sign", "bicubic"):
        share = torch.cat([getattr(layer, field) for layer in layers]).gt(0).sum().item()
        assert stats.binomtest(share, 8000).pvalue > 1e-3
    joint = Counter(zip(layers[0].operation.tolist(), layers[1].operation.tolist(), strict=True))
    assert stats.chisquare([joint[a, b] for a in range(15) for b in range(15)]).pvalue > 1e-3  # with replacement


@pytest.mark.parametrize("magnitude_std", [1.0, 0.5])
def test_augmented_images_are_distributed_as_timms(magnitude_std):
    """End to end, through one number of each result that differs for every operation."""
    random.seed(1), np.random.seed(1)
    image, count = pictures()[0], 1500
    transform = auto_augment.rand_augment_transform(f"rand-m9-n2-mstd{magnitude_std}", {"img_mean": FILL})
    timms = torch.stack([from_pil(transform(to_pil(image))) for _ in range(count)])
    ours = rand_augment(image.expand(count, -1, -1, -1), magnitude_std=magnitude_std, generator=generator(2), fill=FILL)
    weight = torch.arange(image.numel()).view_as(image) % 1009
    numbers = [(images * weight).sum((1, 2, 3)).numpy() for images in (timms, ours)]
    assert stats.ks_2samp(*numbers).pvalue > 1e-3
    unchanged = [int((images == image).all((1, 2, 3)).sum()) for images in (timms, ours)]
    assert stats.chi2_contingency([[n, count - n] for n in unchanged]).pvalue > 1e-3


def test_every_image_draws_its_own():
    image = pictures()[0]
    out = rand_augment(image.expand(400, -1, -1, -1), generator=generator(), fill=FILL)
    different = torch.unique(out.flatten(1), dim=0)
    # 1/4 stay, and of the rest those with one operation without a level (3 of 15) fall together: about 220 remain.
    assert len(different) > 180


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_rand_augment_keeps_shape_and_type_and_its_input(channels, layout):
    images = pictures(channels, 10, 12).contiguous(memory_format=layout)
    before = images.clone()
    out = rand_augment(images, probability=1.0, generator=generator())
    assert (out.shape, out.dtype) == (images.shape, torch.uint8)
    assert out.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(images, before)
    assert torch.equal(rand_augment(images, probability=0.0, generator=generator()), images)


def test_what_cannot_be_augmented_is_refused():
    with pytest.raises(ValueError, match="uint8 images of 1 or 3 channels"):
        rand_augment(torch.zeros(2, 3, 8, 8), generator=generator())
    with pytest.raises(ValueError, match="a fill for each"):
        rand_augment(pictures(), generator=generator(), fill=[0])


# --- mixup and CutMix -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.03, 0.5, 0.77, 1.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_soft_targets_are_timms_and_sum_to_1(share, smoothing):
    labels = torch.tensor([3, 0, 6, 6, 1, 2])
    ours = soft_targets(labels, torch.tensor(share, dtype=torch.float64), classes=7, smoothing=smoothing)
    torch.testing.assert_close(ours, mixup.mixup_target(labels, 7, share, smoothing), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(ours.sum(1), torch.ones(6))


@pytest.mark.skipif(TIMM < (1, 0, 29), reason="before 1.0.29 timm cut boxes of odd size a pixel short")
@pytest.mark.parametrize("size", [(32, 32), (7, 12)], ids=str)
def test_cutmix_box_is_timms_for_the_same_share_and_place(size, monkeypatch):
    height, width = size
    rng = np.random.default_rng(0)
    for share in [0.0, 1.0, *rng.random(40)]:
        row, column = rng.integers(height), rng.integers(width)
        centres = iter((row, column))
        monkeypatch.setattr(mixup.np.random, "randint", lambda *_, centres=centres, **__: next(centres))
        (top, bottom, left, right), corrected = mixup.cutmix_bbox_and_lam((3, *size), share)
        expected = torch.ones(size, dtype=torch.float64)
        expected[top:bottom, left:right] = 0
        place = torch.tensor([(row + 0.5) / height, (column + 0.5) / width], dtype=torch.float64)
        weight = box_weight(torch.tensor(share, dtype=torch.float64), place, height, width)
        assert torch.equal(weight, expected)
        assert weight.mean().item() == pytest.approx(corrected, abs=1e-12)


def test_shares_and_the_kind_of_mixing_are_distributed_as_timms():
    np.random.seed(0)
    timm_mix = mixup.Mixup(mixup_alpha=1.0, cutmix_alpha=0.8)
    timms = {False: [], True: []}
    for _ in range(2000):
        share, cut = timm_mix._params_per_batch()
        timms[cut].append(mixup.cutmix_bbox_and_lam((3, 32, 32), share)[1] if cut else share)
    ours, stream = {False: [], True: []}, generator()
    for _ in range(2000):
        share, weight = draw_weight(32, 32, 1.0, 0.8, stream)
        assert weight.mean().item() == pytest.approx(share.item())  # CutMix: the box has 1 - share of the area
        ours[bool(((weight == 0) | (weight == 1)).all())].append(share.item())
    assert stats.binomtest(len(ours[True]), 2000).pvalue > 1e-3
    for cut in (False, True):
        assert stats.ks_2samp(ours[cut], timms[cut]).pvalue > 1e-3
    assert stats.kstest(ours[False], stats.beta(1, 1).cdf).pvalue > 1e-3


def test_mixed_images_and_targets_belong_together():
    images, labels = torch.randn(6, 3, 8, 8), torch.arange(6)
    for seed in range(20):
        share, weight = draw_weight(8, 8, 1.0, 0.8, generator(seed))
        mixed, targets = mix(
            images, labels, classes=6, mixup_alpha=1.0, cutmix_alpha=0.8, smoothing=0.1, generator=generator(seed)
        )
        assert (mixed.dtype, mixed.shape, targets.dtype) == (torch.float32, images.shape, torch.float32)
        expected = images.double() * weight + images.flip(0).double() * (1 - weight)
        torch.testing.assert_close(mixed.double(), expected, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(targets, mixup.mixup_target(labels, 6, share.item(), 0.1))


# --- random erasing -------------------------------------------------------------------------------------------------


def test_erased_boxes_are_distributed_as_timms():
    random.seed(0)
    count, side = 1500, 32
    timms = random_erasing.RandomErasing(probability=1.0, mode="const", device="cpu")(torch.ones(count, 1, side, side))
    both = (timms[:, 0] == 0, draw_boxes(count, side, side, generator()))
    for statistic in (
        lambda box: box.sum((1, 2)),
        lambda box: box.any(2).sum(1),
        lambda box: box.any(1).sum(1),
        lambda box: box.any(2).int().argmax(1),
        lambda box: box.any(1).int().argmax(1),
    ):
        assert stats.ks_2samp(*(statistic(box).numpy() for box in both)).pvalue > 1e-3
    box = both[1]
    assert torch.equal(box, box.any(2)[:, :, None] & box.any(1)[:, None, :])
    area = box.double().mean((1, 2))
    assert AREA[0] * 0.8 < area.min() < area.max() < AREA[1] * 1.1
    assert ASPECT[0] < 1 < ASPECT[1]


def test_random_erasing_writes_noise_or_the_mean_into_a_quarter_of_the_images():
    images = torch.full((2000, 3, 16, 16), 7.0)
    noisy = random_erase(images, probability=0.25, mode="pixel", generator=generator())
    flat = random_erase(images, probability=0.25, mode="const", generator=generator())
    erased = (noisy != 7).any(1)
    assert torch.equal(erased, (flat != 7).any(1))
    assert stats.binomtest(int(erased.any(2).any(1).sum()), 2000, 0.25).pvalue > 1e-3
    written = noisy.movedim(1, -1)[erased]
    assert stats.kstest(written.flatten().numpy()[:5000], "norm").pvalue > 1e-3
    assert (flat.movedim(1, -1)[erased] == 0).all()
    assert (images == 7).all()


# --- the whole ------------------------------------------------------------------------------------------------------


def pipeline(images, labels, stream):
    images = crop_and_flip(images, padding=4, flip=True, generator=stream)
    images = rand_augment(images, magnitude=9, count=2, magnitude_std=1.0, generator=stream)
    images, targets = mix(
        images.float(), labels, classes=10, mixup_alpha=1.0, cutmix_alpha=0.8, smoothing=0.1, generator=stream
    )
    return random_erase(images, probability=0.25, mode="pixel", generator=stream), targets


def test_a_generator_restored_in_the_middle_continues_the_same():
    images, labels = pictures().repeat(8, 1, 1, 1), torch.arange(56) % 10
    stream = generator(3)
    whole = [pipeline(images, labels, stream) for _ in range(4)]
    stream = generator(3)
    for _ in range(2):
        pipeline(images, labels, stream)
    state = stream.get_state()
    continued = generator(99)
    continued.set_state(state)
    for (images_one, targets_one), batch in zip(whole[2:], range(2), strict=True):
        images_two, targets_two = pipeline(images, labels, continued)
        assert torch.equal(images_one, images_two), batch
        assert torch.equal(targets_one, targets_two), batch
    assert not torch.equal(whole[2][0], whole[3][0])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_a_gpu_nothing_waits_and_the_same_draws_give_the_same_images():
    images, draws = pictures().repeat(30, 1, 1, 1), draw(210, 9, 1.0, 1.0, generator())
    expected = apply(images, draws, fill=FILL, increasing=False)
    there = images.cuda(), Draws(*(field.cuda() for field in draws))
    labels, stream = torch.arange(210).cuda() % 10, torch.Generator("cuda").manual_seed(0)
    pipeline(there[0], labels, stream)  # constants are copied once
    apply(*there, fill=FILL, increasing=False)
    torch.cuda.set_sync_debug_mode("error")
    try:
        pipeline(there[0], labels, stream)
        out = apply(*there, fill=FILL, increasing=False)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    difference = (out.cpu().int() - expected.int()).abs()
    assert (difference > 0).double().mean() < 2e-3
