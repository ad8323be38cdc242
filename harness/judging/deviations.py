"""How a case differs from what the paper did: the list that stands beside every result obtained off its protocol."""

from __future__ import annotations

import math

from harness.data.catalogue import DATASETS, DatasetInfo
from harness.judging.evidence import SINGLE_SEED
from harness.plan.case import Case
from harness.plan.catalogue import Claim
from harness.plan.recipe import PAPER, Recipe, recipe_from
from harness.plan.run import SUBJECT, ModelSpec
from harness.plan.study import Place, in_order
from harness.probes.kinds import TrainingParameters

# On ImageNet the paper took these from timm and trained the others (A.1).
PAPER_WEIGHTS = {
    "pit_tiny": "timm/pit_ti_224.in1k",
    "swin_tiny": "timm/swin_tiny_patch4_window7_224.ms_in1k",
}
RECIPE_WORDS = {
    "optimizer": "optimizer",
    "batch_size": "batch size",
    "learning_rate": "learning rate",
    "weight_decay": "weight decay",
    "clip_norm": "gradient clipping at norm",
    "label_smoothing": "label smoothing",
    "stochastic_depth": "stochastic depth",
    "crop_padding": "crop padding",
    "flip": "horizontal flip",
    "rand_augment": "RandAugment",
    "mixup": "mixup alpha",
    "cutmix": "CutMix alpha",
    "erasing": "random erasing",
    "precision": "training precision",
}


def deviations(claim: Claim, case: Case, dataset_title: str) -> list[str]:
    """Everything that is not as in the paper, a short phrase each; empty only for the paper's own protocol.

    Args:
        dataset_title: of the data that were used, which says so when the images are a lossy copy.
    """
    if not case.roles:
        return []
    info = DATASETS[case.dataset]
    found = []
    if case.dataset != claim.dataset:
        found.append(f"{dataset_title} instead of {claim.dataset_title}")
    elif dataset_title != info.title:
        found.append(f"{dataset_title} instead of the original images")
    found += _subsets(case, info)
    found += _measured(case)
    found += _models(claim, case)
    found += _studies(claim, case)
    fixed = {role: spec for role, spec in case.models.items() if spec.is_trained_already}
    found += [
        f"{spec} with weights from elsewhere, not trained here"
        for role, spec in fixed.items()
        if not _has_the_papers_weights(claim, case, role, spec)
    ]
    if case.untrained:
        found.append("networks with random weights")
    elif len(fixed) < len(case.models):
        found += _epochs(claim, case)
        found += _recipe(claim, case)
    if len(case.seeds) == 1:
        found.append(SINGLE_SEED)
    return found


def _subsets(case: Case, info: DatasetInfo) -> list[str]:
    images = case.profile.images
    sizes = (("training", images.train, info.train_images), ("test", images.test, info.test_images))
    return [f"{some:,} of {whole:,} {split} images" for split, some, whole in sizes if some and some != whole]


def _measured(case: Case) -> list[str]:
    """Probes of the training loss that see fewer images than the paper's: all, of which the Hessian's a tenth."""
    available = case.profile.train_size(case.dataset, case.available)
    found = []
    for name in dict.fromkeys(probe.probe for probe in case.probes):
        parameters = case.profile.parameters(name)
        if not isinstance(parameters, TrainingParameters) or parameters.images is None:
            continue
        least, words = (available / 10, "a tenth of them") if name == "hessian" else (available, "all")
        if parameters.images < least:
            found.append(f"{name} over {parameters.images:,} training images instead of {words}")
    return found


def _studies(claim: Claim, case: Case) -> list[str]:
    """Where other points of a study are compared than the paper's: 1, 2 and 3 heads instead of 1 to 9."""
    found = []
    for name, axis in claim.studies.items():
        mine = {role: point for role, point in case.points.items() if point.study == name}
        ours = {point.at for point in mine.values()}
        if name == "data" and any(point.of in case.roles for point in mine.values()):
            ours.add(1.0)  # the role that is varied has all of them
        theirs = {x for series in claim.series if series.over == name for x in series.x or []}
        if ours and theirs and not _same(ours, theirs):
            found.append(f"{axis.axis} {_list(ours)} instead of {_list(theirs)}")
    return found


def _same(ours: set[Place], theirs: set[Place]) -> bool:
    """Digitised shares are rounded."""
    if len(ours) != len(theirs):
        return False
    pairs = zip(sorted(ours, key=_order), sorted(theirs, key=_order), strict=True)
    return all(
        math.isclose(one, other, rel_tol=0.01)
        if not isinstance(one, str) and not isinstance(other, str)
        else one == other
        for one, other in pairs
    )


def _order(place: Place) -> tuple[float, str]:
    return in_order(place), str(place) if isinstance(place, str) else ""


def _list(places: set[Place]) -> str:
    return ", ".join(place if isinstance(place, str) else f"{place:g}" for place in sorted(places, key=_order))


def _models(claim: Claim, case: Case) -> list[str]:
    found = []
    for role, spec in case.cast.items():
        used = str(spec).removeprefix(SUBJECT)
        if role in claim.models and used != claim.models[role] and not _has_the_papers_weights(claim, case, role, spec):
            found.append(f"{used} instead of {claim.models[role]}")
    return found


def _epochs(claim: Claim, case: Case) -> list[str]:
    recipe = case.profile.recipe
    if not claim.epochs:
        return []
    if all(probe.after == 0 for probe in case.probes):
        ours, theirs, what = recipe.warmup_epochs, PAPER.warmup_epochs, "warm-up epochs"
    else:
        ours, theirs, what = recipe.total_epochs, PAPER.total_epochs, "epochs"
    return [f"{ours} of {theirs} {what}"] if ours != theirs else []


def _has_the_papers_weights(claim: Claim, case: Case, role: str, spec: ModelSpec) -> bool:
    theirs = PAPER_WEIGHTS.get(claim.models.get(role, ""))
    return case.dataset == "imagenet" and spec.name == theirs and spec.overrides == {"pretrained": True}


def _recipe(claim: Claim, case: Case) -> list[str]:
    """Against what the paper did on this data set."""
    if not claim.epochs:
        return []
    recipe = case.profile.recipe
    paper = Recipe(**recipe_from({"base": "imagenet"})) if case.dataset == "imagenet" else PAPER
    found = []
    for field, word in RECIPE_WORDS.items():
        ours, theirs = getattr(recipe, field), getattr(paper, field)
        if ours != theirs:
            found.append(f"{word} {_say(ours)} instead of {_say(theirs)}")
    return found


def _say(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
