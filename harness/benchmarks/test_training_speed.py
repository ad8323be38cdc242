"""A whole training by this package beside a plain fp32 loop of the same network, in one run, with the paper's recipe;
and an evaluation of that network. Then the trainings of `quick` and `mini`, beside the same with what makes them fast
left out.

The plain loop is what one writes in an afternoon: PIL images through timm's transforms in a DataLoader with two
workers, timm's Mixup, torch's AdamW. Nothing is asserted: read `images_per_second`, and `share_of_matmul`, the achieved
FLOP/s over those of a large matrix product that is timed in the same run (in fp32, and in bf16 where training is).
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from statistics import median

import numpy as np
import pytest
import torch
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import DataLoader, RandomSampler

from harness.benchmarks.test_augmentation_speed import Photos
from harness.data import Dataset, Split, dataset_info
from harness.engine.execute import PROBE_BATCH
from harness.engine.settings import prepare
from harness.plan.profile import load_profile
from harness.plan.recipe import Recipe
from harness.plan.run import ModelSpec, Run
from harness.probes import prediction
from harness.store import Store
from harness.training.batch import training_batches
from harness.training.load import load
from harness.training.loop import build_model, train
from models import describe
from models._timm import timm  # noqa: F401  imports torchvision the one way that works everywhere

from timm.data import Mixup, create_transform  # isort: skip
from timm.loss import SoftTargetCrossEntropy  # isort: skip
from torchvision import transforms  # isort: skip

INFO = dataset_info("cifar100")
CPU_MODELS = ["resnet_mini", "alter_resnet_mini", "vit_mini"]
GPU_MODELS = ["resnet50", "alter_resnet50", "vit_tiny"]
GPU_MARKS = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")]
CASES = [
    *(pytest.param("cpu", model, 96, id=f"{model}-96-cpu") for model in CPU_MODELS),
    *(
        pytest.param("cuda", model, size, id=f"{model}-{size}-cuda", marks=GPU_MARKS)
        for model in GPU_MODELS
        for size in (96, 1024)
    ),
]
EVALUATED = [
    *(pytest.param("cpu", model, id=f"{model}-cpu") for model in CPU_MODELS),
    *(pytest.param("cuda", model, id=f"{model}-cuda", marks=GPU_MARKS) for model in GPU_MODELS),
]
STEPS = {"cpu": 12, "cuda": 60}
PASSES = {"training": 3, "evaluation": 1}  # forward and backward cost about three times the forward pass


def photos(info, count):
    """Smooth random photos in the place of a data set."""
    stream = torch.Generator().manual_seed(0)
    coarse = torch.randn(count, info.channels, 6, 6, generator=stream)
    smooth = torch.nn.functional.interpolate(coarse, size=info.image_size, mode="bicubic") * 55 + 120
    images = smooth.clamp(0, 255).to(torch.uint8).numpy()
    split = Split(images, np.arange(count) % info.classes)
    return Dataset(info, "smooth random photos", (), split, split, "benchmark")


def data(batch_size, device):
    return photos(INFO, STEPS[device] * batch_size)


def run_of(model, batch_size, precision="fp32"):
    recipe = Recipe(epochs=1, warmup_epochs=0, batch_size=batch_size, precision=precision)
    spec = ModelSpec(name=model)
    return Run(model=spec, dataset=INFO.name, fingerprint="benchmark", train_images=None, recipe=recipe, seed=0)


@cache
def matmul_flops(device, dtype):
    """FLOP/s of a large matrix product: the ceiling that a network is held against."""
    size = 1024 if device == "cpu" else 8192
    one = torch.randn(size, size, device=device, dtype=dtype)
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        one @ one
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - began)
    return 2 * size**3 / best


def note(benchmark, model, images, seconds, device, dtype, work="training"):
    rate = images / seconds
    flops = rate * 2 * PASSES[work] * describe(model, num_classes=INFO.classes).macs
    benchmark.extra_info["images_per_second"] = rate
    benchmark.extra_info["gflops"] = flops / 1e9
    benchmark.extra_info["share_of_matmul"] = flops / matmul_flops(device, dtype)


@pytest.fixture(autouse=True)
def as_the_engine_does():
    """One thread on a CPU, where several runs share the cores; no TF32 on a GPU."""
    before = torch.get_num_threads(), torch.backends.cudnn.allow_tf32
    torch.set_num_threads(1)
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.set_num_threads(before[0])
    torch.backends.cudnn.allow_tf32 = before[1]


@pytest.mark.benchmark(group="training, paper's recipe")
@pytest.mark.parametrize("precision", ["fp32", pytest.param("bf16", marks=GPU_MARKS)])
@pytest.mark.parametrize(("device", "model", "batch_size"), CASES)
def test_ours(benchmark, tmp_path, device, model, batch_size, precision):
    if precision == "bf16" and device == "cpu":
        pytest.skip("bf16 is for GPUs")
    dataset, run = data(batch_size, device), run_of(model, batch_size, precision)
    metas = []

    def work():
        store = Store(tmp_path / str(len(metas)))
        train(
            run, dataset, store=store, device=torch.device(device), progress=lambda _: None, should_stop=lambda: False
        )
        metas.append(store.meta(run.checkpoint_key))

    benchmark.pedantic(work, rounds=3, warmup_rounds=1)
    seconds = sorted(meta["seconds"] for meta in metas[-3:])[1]
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    note(benchmark, model, STEPS[device] * batch_size, seconds, device, dtype)


@pytest.mark.benchmark(group="training, paper's recipe")
@pytest.mark.parametrize(("device", "model", "batch_size"), CASES)
def test_plain_loop(benchmark, device, model, batch_size):
    run = run_of(model, batch_size)
    network = build_model(run, INFO).to(device, memory_format=torch.contiguous_format).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=run.recipe.learning_rate, weight_decay=0.05)
    _, *rest = create_transform(
        32,
        is_training=True,
        color_jitter=0.0,
        auto_augment=run.recipe.rand_augment,
        interpolation="random",
        mean=INFO.mean,
        std=INFO.std,
        separate=True,
    )
    transform = transforms.Compose([transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip(), *rest])
    split = data(batch_size, device).train
    augmented = Photos(torch.from_numpy(split.images), torch.from_numpy(split.labels), transform)
    # One epoch without an end: its start, with empty queues, is not what is timed.
    sampler = RandomSampler(augmented, replacement=True, num_samples=10**9)
    batches = iter(DataLoader(augmented, batch_size=batch_size, sampler=sampler, num_workers=2))
    mixing = Mixup(mixup_alpha=1.0, cutmix_alpha=0.8, label_smoothing=0.1, num_classes=INFO.classes)
    loss_of = SoftTargetCrossEntropy()

    def work():
        for _, (images, labels) in zip(range(STEPS[device]), batches, strict=False):
            inputs, targets = mixing(images.to(device), labels.to(device))
            optimizer.zero_grad()
            loss_of(network(inputs), targets).backward()
            clip_grad_norm_(network.parameters(), run.recipe.clip_norm)
            optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()

    benchmark.pedantic(work, rounds=3, warmup_rounds=1)
    if benchmark.stats:
        images = STEPS[device] * batch_size
        note(benchmark, model, images, benchmark.stats.stats.median, device, torch.float32)


@pytest.mark.benchmark(group="evaluation, accuracy and NLL")
@pytest.mark.parametrize(("device", "model"), EVALUATED)
def test_evaluation(benchmark, device, model):
    """From the resident test images to a table with a row an image, in fp32, as every claim about accuracy has it."""
    network = build_model(run_of(model, PROBE_BATCH), INFO).to(device)
    split = load(data(PROBE_BATCH, device).test, INFO, torch.device(device))
    benchmark.pedantic(lambda: prediction(network, split.batches(PROBE_BATCH)), rounds=3, warmup_rounds=1)
    if benchmark.stats:
        seconds = benchmark.stats.stats.median
        note(benchmark, model, len(split), seconds, device, torch.float32, work="evaluation")


# --- as the profiles train --------------------------------------------------------------------------------------------

FAMILIES = ["resnet", "vit", "swin", "pit"]
SMALL = [("quick", "digits", f"{family}_micro", 40) for family in FAMILIES]
SMALL += [("mini", "cifar10", f"{family}_mini", 12) for family in FAMILIES]


def small_run(profile, dataset, model, steps):
    recipe = load_profile(profile).recipe.model_copy(update={"epochs": 1, "warmup_epochs": 0})
    spec = ModelSpec(name=model)
    run = Run(model=spec, dataset=dataset, fingerprint="benchmark", train_images=None, recipe=recipe, seed=0)
    return run, photos(dataset_info(dataset), steps * recipe.batch_size)


def seconds_of_train(*case):
    """CPU time of `train`, from building the network to keeping its weights."""
    run, dataset = small_run(*case)
    device = prepare("cpu")
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        train(
            run,
            dataset,
            store=Store(Path(folder)),
            device=device,
            progress=lambda _: None,
            should_stop=lambda: False,
        )
        return time.process_time() - began


def seconds_of_plain(*case):
    """The same batches and arithmetic; torch's own memory layout and optimiser, the allocator untouched."""
    run, dataset = small_run(*case)
    device, recipe = prepare("cpu"), run.recipe
    began = time.process_time()
    split = load(dataset.train, dataset.info, device)
    network = build_model(run, dataset.info).to(memory_format=torch.contiguous_format).train()
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, foreach=False
    )
    order, augmenter = torch.randperm(len(split)), torch.Generator().manual_seed(0)
    for inputs, targets in training_batches(split, order, recipe.batch_size, recipe, augmenter, 0):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(inputs.contiguous()), targets).backward()
        clip_grad_norm_(network.parameters(), recipe.clip_norm)
        optimizer.step()
    return time.process_time() - began


@pytest.mark.benchmark(group="training, small networks as in quick and mini")
@pytest.mark.parametrize("case", SMALL, ids=[model for _, _, model, _ in SMALL])
def test_small_networks(benchmark, case):
    """Images per second of CPU time, in turns: `train`, and a plain loop. Each in a process of its own, since what a
    training tells the allocator holds for the rest of a process.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as ours, ProcessPoolExecutor(1, context) as plain:

        def in_turns():
            return tuple(
                pool.submit(work, *case).result()
                for pool, work in ((ours, seconds_of_train), (plain, seconds_of_plain))
            )

        in_turns()  # imports, and what a first step sets up
        pairs = []
        benchmark.pedantic(lambda: pairs.append(in_turns()), rounds=3)
    _, dataset = small_run(*case)
    for name, seconds in zip(("images_per_second", "plain"), zip(*pairs, strict=True), strict=True):
        benchmark.extra_info[name] = len(dataset.train.labels) / median(seconds)
