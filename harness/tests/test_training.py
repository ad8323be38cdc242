from __future__ import annotations

import math
import subprocess

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load
from torch.optim.lr_scheduler import CosineAnnealingLR

from harness.data import balanced_subset
from harness.errors import Diverged, HarnessError
from harness.plan.recipe import Recipe, recipe_from
from harness.store import Interrupted, Store
from harness.store.identity import subseed
from harness.training import checkpoint
from harness.training.augment import crop_and_flip
from harness.training.loop import build_model, train
from harness.training.resident import Resident
from harness.training.schedule import learning_rate
from harness.training.step import Backward

CPU = torch.device("cpu")


def finish(run, digits, store, should_stop=lambda: False, progress=lambda _: None):
    train(run, digits, store=store, device=CPU, progress=progress, should_stop=should_stop)
    return store.read(run.checkpoint_key)


def weights_of(artifact):
    return (artifact.path / "weights.safetensors").read_bytes()


# --- schedule ---------------------------------------------------------------------------------------------------


def test_warm_up_is_linear_per_step_and_the_cosine_is_torchs_per_epoch():
    recipe = Recipe(epochs=7, warmup_epochs=2, learning_rate=0.5)
    steps = 5
    rates = [learning_rate(recipe, step, steps) for step in range(recipe.total_epochs * steps)]
    np.testing.assert_allclose(rates[:10], 0.5 * np.arange(10) / 10)

    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    scheduler = CosineAnnealingLR(optimizer, T_max=7)
    for epoch in range(7):
        np.testing.assert_allclose(rates[10 + epoch * steps :][:steps], optimizer.param_groups[0]["lr"], rtol=1e-12)
        optimizer.step()
        scheduler.step()


# --- augmentation -------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 4), st.booleans(), st.integers(0, 2**31), st.integers(5, 9))
def test_every_crop_is_one_that_could_have_been_drawn(padding, flip, seed, size):
    images = torch.randint(1, 255, (6, 2, size, size + 1), dtype=torch.uint8)
    out = crop_and_flip(images, padding=padding, flip=flip, generator=torch.Generator().manual_seed(seed))
    assert out.shape == images.shape
    assert out.dtype == images.dtype
    padded = torch.nn.functional.pad(images, (padding,) * 4)
    for before, after in zip(padded, out, strict=True):
        possible = [
            candidate
            for top in range(2 * padding + 1)
            for left in range(2 * padding + 1)
            for window in [before[:, top : top + size, left : left + size + 1]]
            for candidate in ([window, window.flip(-1)] if flip else [window])
        ]
        assert any(torch.equal(after, candidate) for candidate in possible)


def test_crops_and_flips_are_uniform_and_independent_per_image():
    count, padding = 20_000, 1
    image = torch.arange(1, 10, dtype=torch.uint8).view(1, 1, 3, 3).expand(count, 1, 3, 3)
    out = crop_and_flip(image, padding=padding, flip=True, generator=torch.Generator().manual_seed(0))
    _, counts = torch.unique(out.reshape(count, -1), dim=0, return_counts=True)
    assert len(counts) == 18  # 3 × 3 places, mirrored or not
    expected = count / 18
    chi_square = ((counts - expected) ** 2 / expected).sum()
    assert chi_square < 40.8  # 99.9 % quantile at 17 degrees of freedom


def test_standardised_images_have_mean_0_and_deviation_1(digits):
    images, _ = next(Resident(digits.train, digits.info, CPU).batches(1437))
    assert abs(images.mean()) < 0.01
    assert abs(images.std() - 1) < 0.01


# --- the loop -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["vit_micro", "resnet_micro", "preact_resnet_micro", "alter_resnet_micro"])
def test_same_seed_same_weights_other_seed_other_weights(model, make_run, digits, tmp_path):
    run = make_run(model, epochs=1, warmup_epochs=1)
    one = weights_of(finish(run, digits, Store(tmp_path / "one")))
    same = weights_of(finish(run, digits, Store(tmp_path / "two")))
    other = weights_of(finish(make_run(model, seed=1, epochs=1, warmup_epochs=1), digits, Store(tmp_path / "one")))
    assert one == same != other


STRONG = {"rand_augment": "rand-m9-n2-mstd1.0", "mixup": 1.0, "cutmix": 0.8, "erasing": 0.25}
SGD = {"optimizer": "sgd", "milestones": (1,), "precision": "bf16"}


@pytest.mark.parametrize("stops", [[1], [2, 3], [4], [1, 5, 7]])
@pytest.mark.parametrize(
    ("model", "recipe"),
    [("vit_micro", {}), ("vit_micro", STRONG), ("alter_resnet_micro", STRONG), ("resnet_micro", SGD)],
    ids=["vit", "vit-strong", "alternet-strong", "resnet-sgd-bf16"],
)
def test_stopped_and_continued_equals_uninterrupted(model, recipe, stops, make_run, digits, tmp_path):
    run = make_run(model, **recipe)  # 3 epochs of 3 steps
    whole = finish(run, digits, Store(tmp_path / "whole"))

    store, steps = Store(tmp_path / "pieces"), 0

    def should_stop():
        nonlocal steps
        steps += 1
        return steps in stops

    for _ in stops:
        with pytest.raises(Interrupted):
            finish(run, digits, store, should_stop)
        assert store.read(run.checkpoint_key) is None
    pieces = finish(run, digits, store, should_stop)
    assert weights_of(pieces) == weights_of(whole)
    assert steps == 8  # 9 steps, and nobody asks after the last: none was done twice
    assert checkpoint.states(store, run) == []

    import pandas as pd

    curves = [pd.read_parquet(artifact.path / "curve.parquet").drop(columns="seconds") for artifact in (whole, pieces)]
    pd.testing.assert_frame_equal(*curves)
    assert curves[0].epoch.tolist() == [1, 2, 3]


def test_one_step_is_adamw_on_the_smoothed_cross_entropy_of_the_first_batch(make_run, digits, store):
    """The whole loop against a step written out by hand, in float64-free plain torch."""
    run = make_run(
        "vit_micro", epochs=1, warmup_epochs=0, train_images=32, crop_padding=0, flip=False, stochastic_depth=0.0
    )
    artifact = finish(run, digits, store)

    model = build_model(run, digits.info).train()
    split = balanced_subset(digits.train, 32)
    images = (torch.from_numpy(split.images.copy()) / 255 - digits.info.mean[0]) / digits.info.std[0]
    log_p = model(images).log_softmax(1)
    target = torch.full_like(log_p, 0.1 / 10)
    target[torch.arange(32), torch.from_numpy(split.labels)] += 0.9
    loss = -(target * log_p).sum(1).mean()
    loss.backward()
    norm = math.sqrt(sum(float((p.grad**2).sum()) for p in model.parameters()))
    stored = load(weights_of(artifact))
    for name, p in model.named_parameters():
        gradient = p.grad * min(1.0, 5.0 / (norm + 1e-6))
        # AdamW's first step: both moments are bias-corrected to the gradient itself.
        expected = p.detach() * (1 - 3e-3 * 0.05) - 3e-3 * gradient / (gradient.abs() + 1e-8)
        sure = gradient.abs() > 1e-6  # where the sign of the gradient is beyond rounding
        torch.testing.assert_close(stored[name][sure], expected[sure], rtol=1e-4, atol=1e-5)


def test_sgd_steps_like_torchs_own_on_the_same_batches(make_run, digits, store):
    recipe = {"optimizer": "sgd", "milestones": (1, 2), "learning_rate": 0.05, "weight_decay": 1e-3, "clip_norm": 0.0}
    run = make_run("vit_micro", epochs=3, warmup_epochs=0, crop_padding=0, flip=False, stochastic_depth=0.0, **recipe)
    artifact = finish(run, digits, store)

    model = build_model(run, digits.info).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [1, 2], gamma=0.2)
    split = Resident(balanced_subset(digits.train, 96), digits.info, CPU)
    for epoch in range(3):
        order = torch.randperm(96, generator=torch.Generator().manual_seed(subseed(0, "order", epoch)))
        for chosen in order.split(32):
            loss = torch.nn.functional.cross_entropy(
                model(split.standardise(split.images[chosen])), split.labels[chosen], label_smoothing=0.1
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        scheduler.step()
    stored = load(weights_of(artifact))
    for name, value in model.state_dict().items():
        torch.testing.assert_close(stored[name], value, rtol=1e-3, atol=1e-4)


def test_a_micro_network_learns_the_digits(make_run, digits, store):
    run = make_run("resnet_micro", train_images=None, epochs=5, warmup_epochs=1, crop_padding=0, flip=False)
    rows = []
    finish(run, digits, store, progress=rows.append)
    assert rows[-1]["accuracy"] > 0.9
    assert rows[-1]["epoch"] == rows[-1]["epochs"] == 6


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_epoch(make_run, digits, store, monkeypatch):
    run = make_run("vit_micro", epochs=3, warmup_epochs=1)
    rate = learning_rate
    monkeypatch.setattr(
        "harness.training.loop.learning_rate",
        lambda recipe, step, steps: math.inf if step >= 7 else rate(recipe, step, steps),
    )
    with pytest.raises(Diverged, match=r"epoch 3 at learning rate inf.*recipe.learning_rate"):
        finish(run, digits, store)
    (state,) = checkpoint.states(store, run)
    assert store.read(state).meta["step"] == 6
    monkeypatch.undo()
    assert store.read(run.checkpoint_key) is None
    assert finish(run, digits, store).meta["run"] == run.model_dump(mode="json")


def test_too_few_images_for_a_batch_are_refused(make_run, digits, store):
    with pytest.raises(HarnessError, match="20 training images do not fill one batch of 32"):
        finish(make_run(train_images=20), digits, store)


def test_weights_that_do_not_fit_are_one_line(make_run, digits, store):
    run = make_run(epochs=1, warmup_epochs=0)
    finish(run, digits, store)
    with pytest.raises(HarnessError, match="do not fit the network") as caught:
        checkpoint.load_weights(store, run, torch.nn.Linear(2, 2))
    assert "\n" not in str(caught.value)


def test_weights_are_kept_at_the_epochs_that_were_asked_for(make_run, digits, tmp_path):
    run, store = make_run(epochs=3, warmup_epochs=1), Store(tmp_path / "kept")
    wanted = (0, 2, None)
    train(run, digits, wanted=wanted, store=store, device=CPU, progress=lambda _: None, should_stop=lambda: False)
    kept = {epoch: store.read(run.weights_key(epoch)) for epoch in range(4)}
    assert [epoch for epoch, artifact in kept.items() if artifact] == [0, 2]
    states = []
    with pytest.raises(Interrupted):  # the state after the warm-up, from an independent training
        finish(run, digits, Store(tmp_path / "other"), lambda: states.append(1) or len(states) == 3)
    (state,) = checkpoint.states(Store(tmp_path / "other"), run)
    expected = (tmp_path / "other" / state / "model.safetensors").read_bytes()
    assert weights_of(kept[0]) == expected != weights_of(kept[2])


def test_training_goes_no_farther_than_is_wanted_and_goes_on_from_there(make_run, digits, tmp_path):
    run, store, straight = make_run(epochs=3, warmup_epochs=1), Store(tmp_path / "parts"), Store(tmp_path / "straight")
    finish(run, digits, straight)
    steps = []

    def part(*wanted):
        steps.clear()
        train(
            run,
            digits,
            wanted=wanted,
            store=store,
            device=CPU,
            progress=lambda _: None,
            should_stop=lambda: bool(steps.append(1)),
        )
        return len(steps) + 1  # after the last step nobody asks

    epoch = part(0)
    assert not store.read(run.checkpoint_key)
    assert part(1) == epoch
    assert part(1, None) == 2 * epoch
    assert weights_of(store.read(run.checkpoint_key)) == weights_of(straight.read(run.checkpoint_key))
    assert not checkpoint.states(store, run)


def test_weights_of_an_epoch_that_has_gone_by_are_trained_anew(make_run, digits, tmp_path):
    run, store = make_run(epochs=3, warmup_epochs=1), Store(tmp_path / "store")
    for wanted in ((2,), (0, 2)):
        train(run, digits, wanted=wanted, store=store, device=CPU, progress=lambda _: None, should_stop=lambda: False)
    straight = Store(tmp_path / "straight")
    train(run, digits, wanted=(0,), store=straight, device=CPU, progress=lambda _: None, should_stop=lambda: False)
    assert weights_of(store.read(run.weights_key(0))) == weights_of(straight.read(run.weights_key(0)))


# --- recipes ------------------------------------------------------------------------------------------------------


def test_named_recipes_are_the_papers():
    paper, weak, sgd, imagenet = (
        Recipe(**recipe_from({"base": base})) for base in ("paper", "weak", "sgd", "imagenet")
    )
    assert paper == Recipe()
    assert (paper.total_epochs, paper.batch_size, paper.learning_rate, paper.weight_decay) == (305, 96, 1.25e-4, 0.05)
    assert paper.randomly_augmented == {"magnitude": 9, "count": 2, "magnitude_std": 1.0}
    assert (paper.mixup, paper.cutmix, paper.label_smoothing, paper.erasing) == (1.0, 0.8, 0.1, 0.0)
    assert weak == Recipe(rand_augment="none", mixup=0, cutmix=0, label_smoothing=0, clip_norm=0)
    assert imagenet.randomly_augmented["magnitude_std"] == 0.5
    assert (imagenet.batch_size, imagenet.erasing, imagenet.clip_norm) == (128, 0.25, 0)
    assert (sgd.optimizer, sgd.learning_rate, sgd.milestones) == ("sgd", 0.1, (60, 120, 160))


def test_changes_come_on_top_of_the_base():
    assert Recipe(**recipe_from({"base": "weak", "mixup": 0.5, "cutmix": 0.5})).mixup == 0.5
    with pytest.raises(HarnessError, match="no recipe 'week'; did you mean 'weak'"):
        recipe_from({"base": "week"})


@pytest.mark.parametrize(
    "wrong", [{"mixup": 0.0}, {"rand_augment": "rand-m9"}, {"optimizer": "lion"}, {"erasing": 2.0}]
)
def test_an_impossible_recipe_is_refused(wrong):
    with pytest.raises(ValueError, match="validation error"):
        Recipe(**wrong)


# --- memory and disk -------------------------------------------------------------------------------------------------


class Hungry(torch.nn.Module):
    """A linear network that has memory for so many images at a time."""

    def __init__(self, room):
        super().__init__()
        self.room, self.linear = room, torch.nn.Linear(5, 3)

    def forward(self, inputs):
        if len(inputs) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.linear(inputs)


@pytest.mark.parametrize(("room", "pieces"), [(10, 1), (9, 2), (5, 2), (4, 4), (2, 8), (1, 10)])
def test_a_batch_that_does_not_fit_is_cut_and_the_gradient_is_the_same(room, pieces):
    torch.manual_seed(0)
    model, inputs, targets, said = Hungry(room), torch.randn(10, 5), torch.rand(10, 3).softmax(1), []
    backward = Backward(model, "fp32", said.append)
    for _ in range(2):
        model.zero_grad()
        loss, _ = backward(inputs, targets)
    assert backward.pieces == pieces
    assert len(said) == math.ceil(math.log2(pieces))
    expected = torch.nn.functional.cross_entropy(model.linear(inputs), targets)
    torch.testing.assert_close(loss, expected.detach())
    for parameter, gradient in zip(
        model.parameters(), torch.autograd.grad(expected, list(model.parameters())), strict=True
    ):
        torch.testing.assert_close(parameter.grad, gradient)


def test_a_network_that_never_fits_is_one_line():
    with pytest.raises(HarnessError, match="with a single image"):
        Backward(Hungry(0), "fp32", lambda _: None)(torch.randn(4, 5), torch.rand(4, 3))


@pytest.fixture
def small_disk(tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", place], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small file system takes more rights than these")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk_is_one_line_and_what_was_kept_is_continued_to_the_same_bits(
    make_run, digits, small_disk, tmp_path
):
    run = make_run("resnet_micro", epochs=3, warmup_epochs=0)
    store = Store(small_disk)
    ballast = small_disk / "ballast"
    steps = iter(range(10))

    def fill():
        if next(steps) == 4:  # in the second epoch: the state of the first is kept
            with pytest.raises(OSError, match="No space left"):  # noqa: PT012  any of the writes
                with ballast.open("wb", buffering=0) as file:
                    while True:
                        file.write(bytes(4096))
        return False

    with pytest.raises(HarnessError, match="No space left on device; free some space") as caught:
        finish(run, digits, store, fill)
    assert "\n" not in str(caught.value)
    (state,) = checkpoint.states(store, run)
    assert store.read(state).meta["step"] == 3
    ballast.unlink()
    assert weights_of(finish(run, digits, store)) == weights_of(finish(run, digits, Store(tmp_path / "whole")))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_training_on_a_gpu_stops_continues_and_learns(make_run, digits, store):
    run = make_run("vit_micro", train_images=None, epochs=8, crop_padding=0, flip=False)
    steps = iter(range(10**9))
    device, rows = torch.device("cuda"), []
    with pytest.raises(Interrupted):
        train(run, digits, store=store, device=device, progress=rows.append, should_stop=lambda: next(steps) == 20)
    train(run, digits, store=store, device=device, progress=rows.append, should_stop=lambda: False)
    assert rows[-1]["accuracy"] > 0.5
    assert "cuda" in store.read(run.checkpoint_key).meta["device"]
