"""The training loop: reads top to bottom, stops and continues at any step, and the result is the same bit for bit."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from harness.data import Dataset, DatasetInfo, balanced_subset
from harness.errors import Diverged, HarnessError
from harness.identity import subseed
from harness.provenance import hardware, versions
from harness.run import Run
from harness.store import Interrupted, Store
from harness.tables import to_parquet
from harness.training import checkpoint
from harness.training.batch import training_batch
from harness.training.loader import Resident
from harness.training.schedule import learning_rate
from harness.training.step import Backward, make_optimizer
from models import ModelError, create_model

Report = Callable[[dict[str, Any]], None]
REPORT_EVERY_SECONDS = 0.5
CURVE = ["epoch", "learning_rate", "loss", "accuracy", "seconds"]


def build_model(run: Run, info: DatasetInfo) -> nn.Module:
    """The untrained network of a run: the same weights for the same seed.

    Raises:
        HarnessError: no such model, or arguments that it does not take.
    """
    arguments = dict(run.model.overrides)
    # A person's own factory need not know the argument, nor weights that are not trained here.
    if run.recipe.stochastic_depth and run.source is None and not run.model.is_trained_already:
        arguments.setdefault("drop_path_rate", run.recipe.stochastic_depth)
    torch.manual_seed(subseed(run.seed, "init"))
    try:
        return create_model(
            run.model.name,
            num_classes=info.classes,
            image_size=info.image_size,
            in_chans=info.channels,
            **arguments,
        )
    except ModelError as error:
        raise HarnessError(f"{run.model} for {info.title}: {error}") from error


def train(
    run: Run,
    dataset: Dataset,
    *,
    keep: Collection[int] = (),
    store: Store,
    device: torch.device,
    report: Report,
    should_stop: Callable[[], bool],
) -> None:
    """Train a run to its end, from the newest state in the store if there is one, and keep its checkpoint.

    The state is kept after every epoch, and at once when asked to stop. Loss and accuracy are those of the augmented
    training batches in training mode, as in the paper's NLL_train (A.2).

    Args:
        keep: epochs behind the warm-up (0: its end) whose weights are kept too.
        report: takes `epoch`, `epochs`, `loss`, `accuracy` (share), `images_per_second`, `seconds_left`.
        should_stop: asked after every step.

    Raises:
        Interrupted: asked to stop; the state is kept.
        Diverged: the loss was not finite; the last good epoch is kept.
    """
    recipe = run.recipe
    split = Resident(balanced_subset(dataset.train, run.train_images), dataset.info, device)
    steps_per_epoch = len(split) // recipe.batch_size
    if steps_per_epoch == 0:
        raise HarnessError(f"{run}: {len(split)} training images do not fill one batch of {recipe.batch_size}")
    # Convolutions are faster with channels last, on CPU and GPU; crop_and_flip leaves the images that way.
    model = build_model(run, dataset.info).to(device)
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's stubs
    optimizer = make_optimizer(recipe, model.parameters())
    backward = Backward(model, recipe.precision, say=lambda line: report({"say": line}))
    augmenter = torch.Generator(device).manual_seed(subseed(run.seed, "augment"))
    torch.manual_seed(subseed(run.seed, "depth"))  # stochastic depth draws from the global stream
    position = checkpoint.load_state(store, run, model, optimizer, augmenter) or checkpoint.Position(
        step=0, loss_sum=0.0, correct=0, curve=[], seconds=0.0
    )

    model.train()
    loss_sum = torch.tensor(position["loss_sum"], dtype=torch.float64, device=device)
    correct = torch.tensor(position["correct"], device=device)
    began, begun_at, reported = time.monotonic(), position["step"], 0.0
    total_steps = recipe.total_epochs * steps_per_epoch
    for step in range(begun_at, total_steps):
        epoch, batch = divmod(step, steps_per_epoch)
        if batch == 0 or step == begun_at:
            order = _order(run, epoch, len(split)).to(device)
        rate = learning_rate(recipe, step, steps_per_epoch)
        for group in optimizer.param_groups:
            group["lr"] = rate

        chosen = order[batch * recipe.batch_size :][: recipe.batch_size]
        inputs, targets = training_batch(split, chosen, recipe, augmenter)
        optimizer.zero_grad(set_to_none=True)
        loss, hits = backward(inputs, targets)
        if recipe.clip_norm:
            clip_grad_norm_(model.parameters(), recipe.clip_norm)
        optimizer.step()

        loss_sum += loss
        correct += hits
        now, done = time.monotonic(), batch + 1
        seconds = position["seconds"] + now - began
        if now - reported > REPORT_EVERY_SECONDS or done == steps_per_epoch:
            reported = now
            speed = (step + 1 - begun_at) / (now - began)  # steps a second
            report(
                {
                    "epoch": epoch + 1,
                    "epochs": recipe.total_epochs,
                    "loss": loss_sum.item() / done,
                    "accuracy": correct.item() / (done * recipe.batch_size),
                    "images_per_second": speed * recipe.batch_size,
                    "seconds_left": (total_steps - step - 1) / speed,
                }
            )
        stop = step + 1 < total_steps and should_stop()
        if done == steps_per_epoch or stop:
            _check_finite(run, epoch, rate, loss_sum)
            if done == steps_per_epoch:
                position["curve"].append(
                    {
                        "epoch": epoch + 1,
                        "learning_rate": rate,
                        "loss": loss_sum.item() / done,
                        "accuracy": correct.item() / (done * recipe.batch_size),
                        "seconds": seconds,
                    }
                )
                loss_sum.zero_()
                correct.zero_()
            state = checkpoint.Position(
                step=step + 1,
                loss_sum=loss_sum.item(),
                correct=int(correct.item()),
                curve=position["curve"],
                seconds=seconds,
            )
            if done == steps_per_epoch and (behind := epoch + 1 - recipe.warmup_epochs) in keep:
                store.write(
                    run.epoch_key(behind), {"weights.safetensors": checkpoint.weights(model)}, {"run": str(run)}
                )
            checkpoint.save_state(store, run, model, optimizer, augmenter, state)
        if stop:
            raise Interrupted(str(run))

    seconds = position["seconds"] + time.monotonic() - began
    _finish(store, run, model, position["curve"], seconds, device, images=total_steps * recipe.batch_size)


def _order(run: Run, epoch: int, count: int) -> Tensor:
    """The order of the images in this epoch; a function of seed and epoch, so that nothing has to be remembered."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(subseed(run.seed, "order", epoch)))


def _check_finite(run: Run, epoch: int, rate: float, loss_sum: Tensor) -> None:
    if not math.isfinite(loss_sum.item()):
        raise Diverged(
            f"{run}: the loss is {loss_sum.item()} in epoch {epoch + 1} at learning rate {rate:.3g}; "
            "the last good epoch is kept; lower recipe.learning_rate or set recipe.clip_norm"
        )


def _finish(
    store: Store,
    run: Run,
    model: nn.Module,
    curve: list[dict[str, Any]],
    seconds: float,
    device: torch.device,
    images: int,
) -> None:
    import pandas as pd

    files = {
        "weights.safetensors": checkpoint.weights(model),
        "curve.parquet": to_parquet(pd.DataFrame(curve, columns=CURVE)),
    }
    meta = {
        "run": run.model_dump(mode="json"),
        "seconds": seconds,
        "images_per_second": images / seconds if images else None,
        "device": hardware(device),
        "versions": versions(),
    }
    store.write(run.checkpoint_key, files, meta)
    for key in checkpoint.states(store, run):
        store.delete(key)
