"""A small catalogue and a results folder that look like the real ones, made up: they test the report, not the paper."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from harness.judging.evidence import (
    CaseRecord,
    Effect,
    Evidence,
    PaperValue,
    Provenance,
    RuleRecord,
    write_evidence,
)
from harness.judging.measured import in_columns
from harness.plan.catalogue import Catalogue, load_catalogue
from harness.plan.study import Point

CATALOGUE = """
[F2]
group = "lowpass"
title = "Attention damps high frequencies, MLPs amplify them"
statement = "After the early blocks of a ViT, attention lowers the highest frequency and the MLP raises it."
figure = "Fig 8"
dataset = "imagenet"
epochs = 300
models = {vit = "vit_tiny"}
note = "The text says 'except in early layers'; the plot shows three such blocks."
[[F2.rules]]
text = "Mean attention step below zero and mean MLP step above zero, first quarter of the blocks left out."
[[F2.rules.effects]]
name = "attention step, sign turned"
unit = "nats"
null = 0.0
decides = true
paper = 0.098
source = "Fig 8, digitised"
[[F2.rules.effects]]
name = "MLP step"
unit = "nats"
null = 0.0
decides = true
paper = 0.11
source = "Fig 8, digitised"

[F3]
group = "lowpass"
title = "The same in PiT and Swin"
statement = "In late blocks of PiT and Swin, too, attention damps and MLPs amplify."
figure = "Fig D.2"
dataset = "imagenet"
epochs = 300
models = {pit = "pit_tiny", swin = "swin_tiny"}
[[F3.rules]]
part = "PiT"
text = "Mean attention step of the late blocks below zero."
effects = [
  {name = "late attention step, sign turned", unit = "nats", null = 0.0, decides = true, paper = 0.08, source = "D.2"},
]
[[F3.rules]]
part = "Swin"
text = "Mean attention step of stages 3 and 4 below zero."
effects = [
  {name = "late attention step, sign turned", unit = "nats", null = 0.0, decides = true, paper = 0.15, source = "D.2"},
]

[A2]
group = "alternet"
title = "AlterNet beats ResNet"
statement = "AlterNet is more accurate than the pre-activation ResNet it is built from."
figure = "Fig 12b"
dataset = "cifar100"
epochs = 305
models = {alternet = "alter_resnet50", resnet = "preact_resnet50"}
[[A2.rules]]
text = "Accuracy of AlterNet minus accuracy of ResNet above zero."
effects = [
  {name = "accuracy gain", unit = "pp", null = 0.0, decides = true, paper = 1.54, source = "Fig 12b, digitised"},
]

[L4]
group = "flatness"
title = "Weaker inductive bias, worse on both axes"
statement = "ViT has the higher test error and the higher training loss."
figure = "Figs 5a, C.1"
dataset = "cifar100"
epochs = 305
models = {vit = "vit_tiny", resnet = "resnet50"}
[[L4.rules]]
text = "Both differences above zero."
effects = [{name = "error gap", unit = "pp", null = 0.0, decides = true}]

[L7]
group = "flatness"
title = "SAM improves ViT"
statement = "Sharpness-aware minimisation helps ViT."
figure = "cited"
dataset = "none"
epochs = 0
models = {}
not_run = "cited in the paper, not measured by it"
"""
CURVES = """
[[F2]]
name = "ViT-Ti"
model = "vit_tiny"
role = "vit"
quantity = "delta_log_amplitude"
values = [-1.777, -1.887, -2.648, -2.17, -2.535, -2.167, -2.366, -2.503, -2.272]

[[A2]]
name = "Alter-ResNet-50"
model = "alter_resnet50"
role = "alternet"
quantity = "accuracy"
values = [84.02]
"""

UNITS = {
    "vit": ("vit_micro", ["stem"] + ["msa", "mlp"] * 6, [0] + [1] * 12),
    "resnet": ("resnet_micro", ["stem"] + ["conv"] * 6, [0, 1, 1, 2, 2, 3, 3]),
    "pit": (
        "pit_micro",
        ["stem", "msa", "mlp", "pool", "msa", "mlp", "pool", "msa", "mlp"],
        [0, 1, 1, 1, 2, 2, 2, 3, 3],
    ),
}


def catalogue(folder: Path, text: str = CATALOGUE, curves: str = CURVES) -> Catalogue:
    path = folder / "catalogue.toml"
    path.write_text(text, encoding="utf-8")
    (folder / "curves.toml").write_text(curves, encoding="utf-8")
    return load_catalogue(path)


def fourier_table(roles: list[str], seeds: list[int]) -> pd.DataFrame:
    """Two groups of images, 6 and 2 strong, so that an unweighted mean is wrong."""
    rng = np.random.default_rng(0)
    steps = {"stem": 0, "msa": -0.25, "mlp": 0.18, "conv": 0.25, "pool": 0.6}
    parts = []
    for role, seed in product(roles, seeds):
        model, kinds, stages = UNITS[role]
        level = -1.5 + 0.1 * rng.normal()
        for unit, (kind, stage) in enumerate(zip(kinds, stages, strict=True)):
            level += steps[kind] + 0.08 * rng.normal()
            side = 8 if stage < 2 else 4
            label = np.linspace(0, 1, side // 2)
            about = {"role": role, "model": model, "seed": seed, "unit": unit, "name": f"{kind}{unit}", "kind": kind}
            about |= {"stage": stage, "depth": unit / (len(kinds) - 1), "height": side, "width": side}
            for sample, images in enumerate((6, 2)):
                curve = (level + 0.1 * sample) * label**0.6
                measured = {"frequency": 2 * np.arange(side // 2) / side, "label": label, "delta_log_amplitude": curve}
                parts.append(pd.DataFrame({**about, "sample": sample, "images": images, **measured}))
    return pd.concat(parts, ignore_index=True)


def variance_table(roles: list[str], seeds: list[int]) -> pd.DataFrame:
    """Rises by 1 from unit to unit; two groups of images, 6 and 2 strong, of which the second lies higher."""
    rows = [
        {"role": role, "model": UNITS[role][0], "seed": seed, "unit": unit, "kind": kind, "stage": stage}
        | {"depth": unit / (len(UNITS[role][1]) - 1), "sample": sample, "images": images}
        | {"variance": 1.0 + unit + 0.1 * seed + 0.4 * sample}
        for role, seed in product(roles, seeds)
        for unit, (kind, stage) in enumerate(zip(*UNITS[role][1:], strict=True))
        for sample, images in enumerate((6, 2))
    ]
    return pd.DataFrame(rows)


def similarity_table(roles: list[str], seeds: list[int]) -> pd.DataFrame:
    """CKA 1 on the diagonal, 0.5 within and 0.28 across stages, in each of two groups of another scale."""
    rows = []
    for role, seed, (sample, images) in product(roles, seeds, enumerate((6, 2))):
        model, kinds, stages = UNITS[role]
        for unit, other in product(range(len(kinds)), repeat=2):
            value = 1.0 if unit == other else 0.5 if stages[unit] == stages[other] else 0.28
            about = {"role": role, "model": model, "seed": seed, "unit": unit, "kind": kinds[unit]}
            about |= {"stage": stages[unit], "other": other, "sample": sample, "images": images}
            rows.append({**about, "hsic": value * (1 + 9 * sample) * (unit + 1) * (other + 1)})
    return pd.DataFrame(rows)


def noise_table(models: dict[str, str], seeds: list[int]) -> pd.DataFrame:
    """The first role loses 10 f points at amplitude 1 and 50 f at amplitude 2; every further role twice that."""
    rows = [
        {"role": role, "model": model, "seed": seed, "frequency": frequency, "amplitude": amplitude}
        | {"share": frequency / 4, "sample": sample, "images": images}
        | {"delta_accuracy": -10.0 * (order + 1) * frequency * (5 if amplitude == 2.0 else 1)}
        for (order, (role, model)), seed in product(enumerate(models.items()), seeds)
        for frequency, amplitude in product((0.1, 0.5, 0.9), (1.0, 2.0))
        for sample, images in enumerate((6, 2))
    ]
    return pd.DataFrame(rows)


def landscape_table(models: dict[str, str], seeds: list[int]) -> pd.DataFrame:
    """NLL of the k-th role rises by k r, 0.2 k r more per seed, and tilts, one way and the other in the two planes."""
    steps = (-1.0, -0.5, 0.0, 0.5, 1.0)
    rows = []
    for (order, (role, model)), seed, sample in product(enumerate(models.items(), 1), seeds, (0, 1)):
        for x, y in product(steps, steps):
            r = max(abs(x), abs(y))
            nll = 2 + order * r * (1 + 0.2 * seed) + 0.3 * x * (1 - 2 * sample)
            about = {"role": role, "model": model, "seed": seed, "sample": sample, "images": 8, "x": x, "y": y}
            rows.append({**about, "nll": nll, "l2": 10 + 4 * r, "l2_norms": 5 + r})
    return pd.DataFrame(rows)


def lesion_table(roles: list[str], seeds: list[int]) -> pd.DataFrame:
    """Unit u costs u points, and half a point more per seed in the second, smaller group."""
    table = variance_table(roles, seeds)
    table = table[~table["kind"].isin(["stem", "pool"])]
    return table.assign(delta_accuracy=-(table["unit"] + 0.5 * table["seed"] * table["sample"]))


def hessian_table(
    models: dict[str, str], seeds: list[int], values: dict[str, list[float]], losses: tuple[bool, ...] = (False, True)
) -> pd.DataFrame:
    """In each of two mini-batches the eigenvalues `values[role]` of NLL + l2, multiplied by 1 + seed; without l2 each
    is 0.5 lower.
    """
    rows = []
    for (role, model), seed, sample, l2 in product(models.items(), seeds, range(2), losses):
        for rank, value in enumerate(values[role], 1):
            eigenvalue = value * (1 + seed) - 0.5 * (not l2)
            about = {"role": role, "model": model, "seed": seed, "sample": sample, "images": 16, "l2": l2, "rank": rank}
            signs = {"negative": float(eigenvalue < 0), "positive": float(eigenvalue > 0)}
            parts = {"positive_part": max(eigenvalue, 0.0), "residual": 1e-4, "products": 40}
            rows.append({**about, "eigenvalue": eigenvalue, **signs, **parts})
    return pd.DataFrame(rows)


def fit_table(models: dict[str, str], seeds: list[int]) -> pd.DataFrame:
    """Two groups of images, 6 and 2 strong: 1 nat in the first role, 2 in the second; in the smaller group 4 more."""
    rows = [
        {"role": role, "model": model, "seed": seed, "sample": sample, "images": images, "nll": order + 4.0 * sample}
        for (order, (role, model)), seed in product(enumerate(models.items(), 1), seeds)
        for sample, images in enumerate((6, 2))
    ]
    return pd.DataFrame(rows)


def prediction_table(models: dict[str, str], seeds: list[int], images: int = 200) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    parts = []
    for (order, (role, model)), seed in product(enumerate(models.items()), seeds):
        about = {"role": role, "model": model, "seed": seed, "sample": range(images), "images": 1}
        label = rng.integers(0, 10, images)
        correct = rng.random(images) < 0.93 - 0.05 * order
        measured = {"predicted": np.where(correct, label, (label + 1) % 10), "correct": correct.astype(float)}
        measured |= {"confidence": rng.uniform(0.4, 1, images), "nll": rng.exponential(0.3, images)}
        parts.append(pd.DataFrame({**about, "label": label, **measured}))
    return pd.concat(parts, ignore_index=True)


def effect(
    name: str, value: float | None, half: float, unit: str = "nats", decides: bool = True, n: int = 3, **about: str
) -> Effect:
    low, high = (None, None) if value is None else (value - half, value + half)
    by_seed = [] if value is None or n >= 10 else [value + half * (seed / n - 0.5) for seed in range(n)]
    return Effect(
        name=name, unit=unit, value=value, low=low, high=high, level=0.95, n=n,
        replicate="seed" if n < 10 else "image", null=0.0, decides=decides, by_seed=by_seed, **about,
    )  # fmt: skip


def evidence(claims: Catalogue, claim: str, effects: list[Effect], **changes) -> Evidence:
    """Evidence that fits the catalogue; `changes` replace its fields, `part` and `models` go where they belong."""
    entry = claims[claim]
    rule = entry.rule(changes.pop("part", None))
    models = changes.pop("models", {role: f"{role}_micro" for role in entry.models})
    paper = [
        PaperValue(name=one.name, value=one.paper, source=one.source)
        for one in rule.effects
        if one.paper is not None and one.source is not None
    ]
    fields = {
        "claim": claim,
        "statement": entry.statement,
        "figure": entry.figure,
        "rule": RuleRecord(part=rule.part, text=rule.text, sha256=rule.sha256),
        "case": CaseRecord(dataset="digits", dataset_title="Digits 8×8", models=models, seeds=[0, 1, 2]),
        "verdict": "reproduced",
        "reason": "every deciding effect lies above its null",
        "effects": effects,
        "paper": paper,
        "deviations": ["handwritten digits (8×8) instead of ImageNet-1K", "30 of 300 epochs", "micro networks"],
        "tables": [],
        "provenance": Provenance(
            commit="0123456789abcdef0123456789abcdef01234567",
            dirty=False,
            versions={"python": "3.11.9", "torch": "2.13.0", "timm": "1.0.31"},
            device="cpu (2 cores)",
            dataset_fingerprint="9f2c4a7711d03b55",
            run_ids=["3b1f0c2d4e5a6978", "77aa90bc12de34f0"],
            started="2026-02-03T10:20:30+00:00",
            seconds=74.6,
        ),
    }
    return Evidence.model_validate({**fields, **changes})


def write_table(
    results: Path,
    relative: str,
    table: pd.DataFrame,
    *,
    probe: str = "",
    after: float = 1.0,
    points: dict[str, Point] | None = None,
    **told: object,
) -> str:
    """As a case leaves it: with columns that say what it holds. The probe is by default what the file is called."""
    path = results / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    about = pd.DataFrame([in_columns((points or {}).get(str(role))) for role in table.get("role", [])])
    told = {"probe": probe or path.stem, "after": after, **told}
    pd.concat([table.reset_index(drop=True), about], axis=1).assign(**told).to_parquet(path, index=False)
    return relative


def results_folder(folder: Path, claims: Catalogue, probes: tuple[str, ...] = ("fourier", "prediction")) -> Path:
    """F2 reproduced, one part of F3 inconclusive, A2 contradicted on one data set and not run on another.

    Args:
        probes: whose tables there are; a table less is a figure less, which makes a report quicker to build.
    """
    results = folder / "quick"
    seeds = [0, 1, 2]
    models = {"alternet": "alternet_micro", "resnet": "preact_resnet_micro"}
    tables: dict[str, list[str]] = {"F2": [], "F3": [], "A2": []}
    if "fourier" in probes:
        for claim, case, table in (
            ("F2", "digits", fourier_table(["vit", "resnet"], seeds)),
            ("F3", "digits-PiT", fourier_table(["pit"], [0])),
        ):
            tables[claim].append(write_table(results, f"tables/{claim}/{case}/fourier.parquet", table))
    if "prediction" in probes:
        table = prediction_table(models, seeds)
        tables["A2"].append(write_table(results, "tables/A2/digits/prediction.parquet", table))

    steps = [effect("attention step, sign turned", 0.2513, 0.1), effect("MLP step", 0.1794, 0.06)]
    share = effect("share of signs as in the paper", 0.83, 0.2, unit="", decides=False)
    networks = {"vit": "vit_micro", "resnet": "resnet_micro"}
    f2 = evidence(claims, "F2", [*steps, share], models=networks, tables=tables["F2"])
    write_evidence(results, "digits", f2)

    step = effect("late attention step, sign turned", 0.05, 0.11, n=512)
    reason = "the interval holds the null; more seeds would decide (single seed)"
    f3 = evidence(claims, "F3", [step], part="PiT", verdict="inconclusive", reason=reason, tables=tables["F3"])
    write_evidence(results, "digits-PiT", f3)

    gain = effect("accuracy gain", -1.25, 0.9, unit="pp")
    reason = "the accuracy gain lies below its null"
    a2 = evidence(claims, "A2", [gain], models=models, verdict="contradicted", reason=reason, tables=tables["A2"])
    write_evidence(results, "digits", a2)

    case = CaseRecord(dataset="cifar10", dataset_title="CIFAR-10", models=models, seeds=[0])
    reason = "the budget ran out before training was done"
    write_evidence(results, "cifar10", evidence(claims, "A2", [], case=case, verdict="not run", reason=reason))
    return results
