"""What each profile takes, and what it lacks on this machine."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from harness.data import dataset_info
from harness.data.presence import whereabouts
from harness.doctor.finding import Finding
from harness.doctor.machine import size
from harness.errors import HarnessError
from harness.judging.again import ClaimTest, load_tests
from harness.plan.case import expand
from harness.plan.catalogue import load_catalogue
from harness.plan.describe import duration
from harness.plan.estimate import Speeds, measured_speeds
from harness.plan.plan import UNSEEN, Plan
from harness.plan.profile import FOLDER, Profile, load_profile
from harness.report.numbers import significant
from harness.session import Options, Session
from harness.store import Store
from harness.store.provenance import cores

CLAIMS = Path(__file__).parents[2] / "claims"
CPU_IMAGES = 50e6  # training images: more than a day of two cores at 32×32, by the speeds of docs/models.md
Tests = Mapping[tuple[str, str | None], ClaimTest]


@dataclass(frozen=True)
class Need:
    """What the first look at all claims of a profile takes.

    Attributes:
        runs: trainings.
        images: that they go through.
        seconds: of one worker, as far as it is known; None where nothing is.
        weights: bytes of the checkpoints, of a run's size without its variant's changes; None where torch is missing.
        decoded: bytes of the data sets in the store.
    """

    runs: int
    images: int
    seconds: float | None
    weights: float | None
    decoded: int


def needs(store: Path) -> Iterator[tuple[Profile, Need]]:
    """Every profile of the project; nothing is downloaded, decoded or written."""
    tests, speeds = load_tests(CLAIMS), measured_speeds(Store(store))
    for path in sorted(FOLDER.glob("*.toml")):
        profile = load_profile(path.stem)
        yield profile, need(profile, plan_of(profile, tests, speeds))


def plan_of(profile: Profile, tests: Tests, speeds: Speeds) -> Plan:
    """The first look at every case, from nothing."""
    nowhere = CLAIMS / "no store"
    options = Options(CLAIMS.parent, nowhere, nowhere, None, "auto", "local", None, None)
    session = Session(profile, load_catalogue(CLAIMS / "catalogue.toml"), options, speeds=speeds)
    session.fingerprints |= dict.fromkeys(profile.datasets, UNSEEN)
    found = [expand(*key, test.roles, test.probes, profile)[0] for key, test in tests.items()]
    cases = [case for cases in found for case in cases if case.roles and not session.out_of_scope(case)]
    return session.plan([(case, session.looks(case)[0]) for case in cases])


def need(profile: Profile, plan: Plan) -> Need:
    """What a plan adds up to."""
    training = [item for item in plan.items if item.images]
    known = all(item.training is not None and item.measuring is not None for item in plan.items)
    checkpoints = [(item.run.model.name, item.run.dataset, len(item.wanted)) for item in training]
    weights: float | None = 0.0
    try:
        weights = sum(weight(name, dataset) * count for name, dataset, count in checkpoints)
    except ImportError:
        weights = None
    images = sum(item.images for item in training)
    decoded = sum(decoded_size(dataset) for dataset in profile.datasets)
    return Need(len(training), images, plan.seconds if known else None, weights, decoded)


@cache
def weight(model: str, dataset: str) -> int:
    """Bytes of a network's parameters in float32; of none is memory taken."""
    import torch

    from models import create_model

    info = dataset_info(dataset)
    with torch.device("meta"):
        network = create_model(model, num_classes=info.classes, image_size=info.image_size, in_chans=info.channels)
    return 4 * sum(parameter.numel() for parameter in network.parameters())


def decoded_size(dataset: str) -> int:
    """Bytes of the decoded images in the store; encoded ones are left where they are."""
    info = dataset_info(dataset)
    images = 0 if info.streamed else info.train_images + info.test_images
    return images * info.channels * info.image_size**2


def lacking(profile: Profile, it: Need, data_root: Path | None, gpus: int, free: int) -> Iterator[str]:
    """What has to be there before this profile makes sense, in words.

    Args:
        gpus: that torch can use.
        free: bytes at the store.
    """
    for name in profile.datasets:
        try:
            whereabouts(name, data_root)
        except HarnessError:
            yield f"{dataset_info(name).title} (see above)"
    if not gpus and (it.images > CPU_IMAGES or any(dataset_info(name).streamed for name in profile.datasets)):
        yield "a GPU"
    if free < it.decoded + (it.weights or 0):
        yield f"{size(it.decoded + (it.weights or 0))} of room in the store"


def described(profile: Profile, it: Need, lacks: Collection[str]) -> Finding:
    """A line."""
    if not it.runs:
        work = "nothing is trained"
    else:
        when = "time unknown" if it.seconds is None else f"about {duration(it.seconds / cores())} on {cores()} cores"
        work = f"{it.runs} trainings, {significant(it.images / 1e6)} million images, {when}"
    disk = "" if it.weights is None else f", {size(it.weights + it.decoded)} on the disk"
    advice = f"lacks {' and '.join(lacks)}" if lacks else None
    return Finding(profile.name, f"{work}{disk}", advice)
