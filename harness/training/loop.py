"""The training loop: reads top to bottom, stops and continues at any step, and the result is the same bit for bit."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from harness.data import Dataset, DatasetInfo, balanced_subset
from harness.errors import Diverged, HarnessError
from harness.plan.run import Run, missing_weights
from harness.store import Interrupted, Store
from harness.store.identity import subseed
from harness.store.provenance import hardware, versions
from harness.store.tables import to_parquet
from harness.training import checkpoint
from harness.training.batch import training_batches
from harness.training.compiled import CUDA_GRAPHS, compiled, is_worthwhile
from harness.training.group import ALONE, Group
from harness.training.layout import channels_last, channels_last_if_it_can
from harness.training.load import load
from harness.training.memory import keep_freed_memory
from harness.training.pretrained import check_standardisation
from harness.training.schedule import learning_rate
from harness.training.step import Backward, make_optimizer
from harness.training.tally import Clock, Tally
from models import ModelError, create_model

Progress = Callable[[dict[str, Any]], None]
CURVE = ["epoch", "images", "learning_rate", "loss", "accuracy", "seconds"]


def build_model(run: Run, info: DatasetInfo) -> nn.Module:
    """The untrained network of a run: the same weights for the same seed, with channels last where it works so.

    Raises:
        HarnessError: no such model, or arguments that it does not take.
    """
    arguments = dict(run.model.overrides)
    # A person's own factory need not know the argument, nor weights that are not trained here.
    if run.recipe.stochastic_depth and run.source is None and not run.model.is_trained_already:
        arguments.setdefault("drop_path_rate", run.recipe.stochastic_depth)
    torch.manual_seed(subseed(run.seed, "init"))
    try:
        model = create_model(
            run.model.name,
            num_classes=info.classes,
            image_size=info.image_size,
            in_chans=info.channels,
            **arguments,
        )
    except ModelError as error:
        raise HarnessError(f"{run.model} for {info.title}: {error}") from error
    if run.model.overrides.get("pretrained"):
        check_standardisation(model, info)
    if "/" in run.model.name:  # not of this project
        return channels_last_if_it_can(model, (info.channels, info.image_size, info.image_size))
    return channels_last(model)


def train(
    run: Run,
    dataset: Dataset,
    *,
    wanted: Collection[int | None] = (None,),
    store: Store,
    device: torch.device,
    progress: Progress,
    should_stop: Callable[[], bool],
    group: Group = ALONE,
) -> None:
    """Train a run as far as is wanted, from the newest state in the store that serves, and keep the weights.

    The state is kept after every epoch, and at once when asked to stop. Loss and accuracy are those of the augmented
    training batches in training mode, as in the paper's NLL_train (A.2).

    Args:
        wanted: whose weights are kept: epochs behind the warm-up (0: its end), None for the finished run. Training
            goes no farther than the last of them, and can be continued from there.
        progress: takes `epoch`, `epochs`, `loss`, `accuracy` (share), `images_per_second`, `seconds_left`.
        should_stop: asked after every step.
        group: of processes that train the run together, all of them here; each has the whole augmented batch, with the
            same draws, and takes its slice, so that the batches are those of a single process.

    Raises:
        Interrupted: asked to stop; the state is kept.
        Diverged: the loss was not finite; the last good epoch is kept.
    """
    if device.type == "cpu":
        keep_freed_memory()
    recipe = run.recipe
    split = load(balanced_subset(dataset.train, run.train_images), dataset.info, device, group)
    steps_per_epoch = len(split) // recipe.batch_size
    if steps_per_epoch == 0 and recipe.total_epochs:
        raise HarnessError(f"{run}: {len(split)} training images do not fill one batch of {recipe.batch_size}")
    missing = sorted(recipe.epochs if epoch is None else epoch for epoch in missing_weights(store, run, wanted))
    if not missing:
        return
    first, last = ((recipe.warmup_epochs + epoch) * steps_per_epoch for epoch in (missing[0], missing[-1]))
    model = build_model(run, dataset.info).to(device)
    parameters = list(model.parameters())  # once: finding them takes half as long as clipping them
    optimizer = make_optimizer(recipe, parameters)
    augmenter = torch.Generator(device).manual_seed(subseed(run.seed, "augment"))
    torch.manual_seed(subseed(run.seed, "depth"))  # stochastic depth draws from the global stream
    position = checkpoint.load_state(store, run, model, optimizer, augmenter, before=first) or checkpoint.Position(
        step=0, loss_sum=0.0, correct=0, curve=[], seconds=0.0
    )
    forward = compiled(model, **CUDA_GRAPHS) if is_worthwhile(last, device, group) else None
    backward = Backward(group.wrap(model, recipe), recipe.precision, lambda line: progress({"say": line}), forward)
    tally = Tally(position["loss_sum"], position["correct"], recipe.batch_size, device)
    clock = Clock(position["seconds"], position["step"])

    model.train()
    for step in range(position["step"], last):
        epoch, batch = divmod(step, steps_per_epoch)
        if batch == 0 or step == position["step"]:
            order = _order(run, epoch, len(split))[: steps_per_epoch * recipe.batch_size][batch * recipe.batch_size :]
            seed = subseed(run.seed, "images", epoch)
            batches = training_batches(split, order, recipe.batch_size, recipe, augmenter, seed)
        rate = learning_rate(recipe, step, steps_per_epoch)
        for settings in optimizer.param_groups:
            settings["lr"] = rate

        inputs, targets = next(batches)
        optimizer.zero_grad(set_to_none=True)
        if group.size > 1:  # each process drops depths of its own, and has no state to keep
            torch.manual_seed(subseed(run.seed, "depth", group.rank, step))
        loss, hits = backward(group.slice(inputs), group.slice(targets))
        if recipe.clip_norm:
            clip_grad_norm_(parameters, recipe.clip_norm)
        optimizer.step()

        stop = step + 1 < last and should_stop()
        loss, hits, stop = group.agree(loss, hits, stop)
        tally.add(loss, hits)
        epoch_ends = batch + 1 == steps_per_epoch
        if epoch_ends or clock.is_due():
            pace = clock.progress(step + 1, last, recipe.batch_size)
            progress({"epoch": epoch + 1, "epochs": last // steps_per_epoch, **tally.figures(batch + 1), **pace})
        if epoch_ends or stop:
            figures = tally.figures(batch + 1)
            if not math.isfinite(figures["loss"]):
                raise Diverged(
                    f"{run}: the loss is {figures['loss']} in epoch {epoch + 1} at learning rate {rate:.3g}; "
                    "the last good epoch is kept; lower recipe.learning_rate or set recipe.clip_norm"
                )
            if epoch_ends:
                images = steps_per_epoch * recipe.batch_size
                row = {"epoch": epoch + 1, "images": images, "learning_rate": rate, **figures}
                row["seconds"] = clock.seconds()
                position["curve"].append(row)
                tally.clear()
            if group.leads:
                behind = epoch + 1 - recipe.warmup_epochs
                if epoch_ends and behind in missing and behind in wanted:
                    _keep(store, run, behind, model, position["curve"], clock.seconds(), device, group)
                reached = checkpoint.Position(
                    step=step + 1, curve=position["curve"], seconds=clock.seconds(), **tally.sums()
                )
                checkpoint.save_state(store, run, model, optimizer, augmenter, reached)
            group.wait()
        if stop:
            raise Interrupted(str(run))

    if group.leads and last == recipe.total_epochs * steps_per_epoch:
        _keep(store, run, None, model, position["curve"], clock.seconds(), device, group)
        checkpoint.drop_states(store, run)
    group.wait()


def _order(run: Run, epoch: int, count: int) -> Tensor:
    """The order of the images in this epoch; a function of seed and epoch, so that nothing has to be remembered."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(subseed(run.seed, "order", epoch)))


def _keep(
    store: Store,
    run: Run,
    epoch: int | None,
    model: nn.Module,
    curve: list[dict[str, Any]],
    seconds: float,
    device: torch.device,
    group: Group,
) -> None:
    import pandas as pd

    files = {
        "weights.safetensors": checkpoint.weights(model),
        "curve.parquet": to_parquet(pd.DataFrame(curve, columns=CURVE)),
    }
    images = sum(row["images"] for row in curve)
    meta = {
        "run": run.model_dump(mode="json"),
        "seconds": seconds,
        "images_per_second": images / seconds if images else None,
        "device": hardware(device) + (f", {group.size} processes" if group.size > 1 else ""),
        "versions": versions(),
    }
    store.write(run.weights_key(epoch), files, meta)
