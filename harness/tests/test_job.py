"""A job measures training-split probes on a run's own images, and goes on where it was stopped."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from harness.engine.execute import execute
from harness.plan.job import Job
from harness.plan.wanted import ProbeRequest
from harness.probes import PROBES, hessian
from harness.store import Interrupted, Store
from harness.store.tables import read_parquet
from harness.training import checkpoint
from harness.training.batch import training_batches
from harness.training.loop import build_model
from harness.training.resident import Resident

CPU = torch.device("cpu")


def request(probe, epoch=None, **parameters):
    chosen = PROBES[probe].parameters.model_validate(parameters)
    return ProbeRequest(probe=probe, parameters=chosen, test_images=None, epoch=epoch)


def do(job, store, should_stop=lambda: False):
    execute(job, store=store, device=CPU, data_root=None, progress=lambda _: None, should_stop=should_stop)


def test_a_landscape_that_was_stopped_goes_on_and_equals_one_that_was_not(make_run, tmp_path):
    run = make_run("resnet_micro", epochs=1, warmup_epochs=0)
    wanted = request("landscape", images=16, points=5, directions=2)
    job = Job(run, (wanted,), training=True)
    straight, stopped = Store(tmp_path / "straight"), Store(tmp_path / "stopped")
    do(job, straight)
    do(Job(run, (), training=True), stopped)

    asked = []
    with pytest.raises(Interrupted):
        do(job, stopped, lambda: asked.append(1) or len(asked) > 20)
    assert len(list((tmp_path / "stopped" / "ledgers").iterdir())) == 1
    first, asked[:] = len(asked), []
    do(job, stopped, lambda: bool(asked.append(1)))
    assert first - 1 + len(asked) == 2 * 25 + 2  # every point was computed once, its batch was drawn twice

    key = wanted.key(run.run_id)
    one, other = (read_parquet(store.read(key).path / "table.parquet") for store in (straight, stopped))
    pd.testing.assert_frame_equal(one, other, check_exact=True)
    assert not list((tmp_path / "stopped" / "ledgers").iterdir())


def test_any_probe_stops_before_its_next_batch(make_run, tmp_path):
    run, store = make_run("resnet_micro", epochs=1, warmup_epochs=0), Store(tmp_path / "store")
    do(Job(run, (), training=True), store)
    for probe in ("hessian", "fit", "prediction"):
        wanted = request(probe)
        with pytest.raises(Interrupted):
            do(Job(run, (wanted,), training=False), store, lambda: True)
        assert store.read(wanted.key(run.run_id)) is None


def test_a_spectrum_is_of_the_augmented_images_and_the_weights_that_were_asked_for(make_run, digits, tmp_path):
    """The probe on batches that are drawn by hand: the first pass over the run's images, in its order."""
    run = make_run("resnet_micro", train_images=64, label_smoothing=0.3, weight_decay=0.5)
    store, wanted = Store(tmp_path / "store"), request("hessian", epoch=0, images=32, seed=5, top=2)
    do(Job(run, (wanted,), training=True, wanted=(0,)), store)
    table = read_parquet(store.read(wanted.key(run.run_id)).path / "table.parquet")

    from harness.data import balanced_subset
    from harness.store.identity import subseed

    model = build_model(run, digits.info)
    checkpoint.load_weights(store, run, model, 0)
    split = Resident(balanced_subset(digits.train, 64), digits.info, CPU)
    order = torch.randperm(64, generator=torch.Generator().manual_seed(subseed(5, "order")))
    augmenter = torch.Generator().manual_seed(subseed(5, "augment"))
    batches = list(training_batches(split, order[:32], 16, run.recipe, augmenter, seed=0))
    pd.testing.assert_frame_equal(table, hessian(model, batches, weight_decay=0.5, top=2), check_exact=True)
    assert table[table.l2].eigenvalue.max() == pytest.approx(table[~table.l2].eigenvalue.max() + 0.5, rel=1e-4)


def test_under_the_augmentation_of_another_recipe_it_sees_what_that_run_sees(make_run, tmp_path):
    """Two runs of one seed begin with the same weights, whatever their recipes."""
    strong = make_run("resnet_micro", epochs=0, warmup_epochs=0, mixup=1.0, cutmix=0.8)
    weak = make_run("resnet_micro", epochs=0, warmup_epochs=0)
    store, few = Store(tmp_path / "store"), {"images": 32, "top": 2}
    tables = []
    for run, parameters in ((weak, {}), (strong, {"augmentation": weak.recipe.augmentation}), (strong, {})):
        wanted = request("hessian", **few, **parameters)
        do(Job(run, (wanted,), training=True), store)
        tables.append(read_parquet(store.read(wanted.key(run.run_id)).path / "table.parquet"))
    own, as_weak, as_strong = tables
    pd.testing.assert_frame_equal(own, as_weak, check_exact=True)
    assert not own.eigenvalue.equals(as_strong.eigenvalue)
