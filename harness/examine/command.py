"""`python -m harness examine`: build the networks, show them the images, measure, and write the page."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.data import DatasetInfo, Split
from harness.engine.settings import choose_device
from harness.engine.stop import Stop
from harness.errors import HarnessError, Stopped
from harness.examine.companions import companions
from harness.examine.measure import Bench, asked, usual_number
from harness.examine.page import Examined, write_page
from harness.examine.pictures import UNLABELLED, Source, at_size, chosen, find_images, labels_for
from harness.examine.subjects import Expected, Subject, expected, subjects
from harness.plots import told_of
from harness.probes.kinds import PROBES
from harness.store import Interrupted, Store
from harness.store.files import write_atomically
from harness.store.tables import to_parquet
from models.errors import ModelError, UnknownAnatomy

if TYPE_CHECKING:
    import pandas as pd
    import torch

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # how images are standardised where nothing says
REGISTER = """
    from models import Part, register
    from your_module import ItsBlock
    register(ItsBlock, [Part("attention", "msa", branch="attention"), Part("mlp", "mlp", branch="mlp")])

in the file of a factory, which --help calls path/to/file.py:factory; docs/own-network.md shows one."""


@dataclass(frozen=True)
class Wish:
    """What the command line asks for.

    Attributes:
        images: a folder, a .npy file, or a data set.
        number: of images; so are `side` (px) and `classes` none where it has to be found out.
        alone: whether a single network has no companions.
    """

    models: Sequence[str]
    images: str
    pretrained: bool
    checkpoints: Sequence[str]
    number: int | None
    side: int | None
    classes: int | None
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    alone: bool
    results: Path
    store: Path
    data_root: Path | None
    device: str


def examine(wish: Wish, stop: Stop) -> Path:
    """Measure all networks, probe by probe, and return the page.

    Raises:
        HarnessError: no images, networks that cannot be built or compared, or what a probe refused.
        Stopped: asked to; the page has what was measured until then.
    """
    mine = subjects(wish.models, pretrained=wish.pretrained, checkpoints=wish.checkpoints)
    device = on(wish.device)
    source = find_images(wish.images, Store(wish.store), wish.data_root)
    side = size_of(mine, source, wish.side)
    source = at_size(chosen(source, wish.number or usual_number(side)), side, expected(mine[0]))
    benches = [bench(subject, source, wish, device) for subject in mine]
    remarks = []
    if len(mine) == 1 and not wish.alone:
        others, remark = companions(mine[0], benches[0].model, benches[0].info)
        try:
            benches += [bench(subject, source, wish, device) for subject in others]
        except HarnessError as error:  # weights that are not to be had; those that were asked for are
            remark = f"no companions: {error}"
        remarks.append(remark)
    labelled = all(each.labelled for each in benches)
    if not labelled:
        remarks += without_labels(benches, source)
        benches = [replace(each, labelled=False) for each in benches]
    looks = asked(len(source), side, labelled=labelled)
    for line in [*(f"{each.subject.name}: {each.subject.weights}" for each in benches), source.title, *remarks]:
        print(line, flush=True)
    forget_tables(wish.results)
    found: dict[str, pd.DataFrame] = {}
    examined = Examined(source, side, benches, looks, remarks, found)
    for number, look in enumerate(looks, 1):
        began = time.monotonic()
        try:
            found[look.probe] = table_of(look.probe, [(each, each.measure(look, stop.now)) for each in benches])
        except Interrupted:
            raise Stopped(f"stopped; {write_page(wish.results, examined)} has what was measured until now") from None
        write_table(wish.results, look.probe, found[look.probe])
        print(f"[{number}/{len(looks)}] {look.probe}: {time.monotonic() - began:.0f} s", flush=True)
    return write_page(wish.results, examined)


def on(wish: str) -> torch.device:
    """The device, computing as the suite's results are defined."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    return torch.device(choose_device(wish))


def size_of(mine: Sequence[Subject], source: Source, wish: int | None) -> int:
    """Side of the images that all networks are shown, in pixels.

    Raises:
        HarnessError: nothing says, or two networks expect different ones.
    """
    if wish is not None:
        return wish
    if source.side is not None:
        return source.side
    sides = {subject.name: how.side for subject in mine if (how := expected(subject))}
    if not sides:
        raise HarnessError("how large are the images to be made? --image-size 224, say: nothing tells what it expects")
    if len(set(sides.values())) > 1:
        told = ", ".join(f"{name} {side}" for name, side in sides.items())
        raise HarnessError(f"the networks expect images of different sizes ({told} px); choose one with --image-size")
    return next(iter(sides.values()))


def bench(subject: Subject, source: Source, wish: Wish, device: torch.device) -> Bench:
    """The network, built and its anatomy taken, with the images as it takes them.

    Raises:
        HarnessError: it cannot be built for them, or its blocks are not known.
    """
    from harness.training.layout import channels_last_if_it_can
    from models import anatomy

    how = expected(subject)
    channels, side = source.shape
    mean, std = standard(subject, source, wish, how, channels)
    info = DatasetInfo(
        name="images",
        title=source.title,
        classes=wish.classes or outputs_of(subject, source, how),
        image_size=side,
        channels=channels,
        train_images=0,
        test_images=len(source),
        mean=mean,
        std=std,
    )
    try:
        model = channels_last_if_it_can(subject.build(info), (channels, side, side)).to(device)
        anatomy(model)
    except UnknownAnatomy as error:
        raise HarnessError(f"{subject.name}: {error}\n{REGISTER}") from error
    except ModelError as error:
        raise HarnessError(f"{subject.name}: {error}") from error
    labels, _ = labels_for(source, info.classes)
    split = Split(source.split.images, source.split.labels if labels is None else labels)
    return Bench(subject, model, info, split, labels is not None, device)


def outputs_of(subject: Subject, source: Source, how: Expected | None) -> int:
    """As many as its weights have, or as the images have classes; else those of ImageNet."""
    if how and subject.pretrained:
        return how.classes
    return len(source.class_names) or (how.classes if how else 1000)


def standard(
    subject: Subject, source: Source, wish: Wish, how: Expected | None, channels: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel that images are standardised with.

    What was asked for; of timm's weights what they were trained with; then the data set's own; else ImageNet's.
    """
    usual = (source.mean, source.std) if source.mean and source.std else IMAGENET
    mean, std = (how.mean, how.std) if how and subject.pretrained else usual
    found = []
    for option, given, other in (("--mean", wish.mean, mean), ("--std", wish.std, std)):
        if given is not None and len(given) not in (1, channels):
            raise HarnessError(f"{option} has {len(given)} numbers, the images have {channels} channels")
        values = given or other
        grey = (sum(values) / len(values),)
        found.append(values if len(values) == channels else grey * channels)
    return found[0], found[1]


def without_labels(benches: Sequence[Bench], source: Source) -> Iterator[str]:
    """Why there are none, once for whoever it concerns."""
    reasons = {each.subject.name: labels_for(source, each.info.classes)[1] for each in benches}
    for reason in dict.fromkeys(filter(None, reasons.values())):
        who = ", ".join(name for name, why in reasons.items() if why == reason)
        about = "" if reason == UNLABELLED else f" ({who})"
        yield (
            f"{reason}{about}: lesions and noise cost agreement with a network's own answers; accuracy, corruptions, "
            "Hessian and landscape are left out"
        )


def table_of(probe: str, parts: Sequence[tuple[Bench, pd.DataFrame]]) -> pd.DataFrame:
    """One table of all networks."""
    import pandas as pd

    told = [told_of(table, each.subject.name, PROBES[probe], each.subject.weights) for each, table in parts]
    return pd.concat(told, ignore_index=True)


def forget_tables(results: Path) -> None:
    """Those that an earlier examination left there: the page shall not stand beside another one's."""
    for path in (results / "tables").glob("*"):
        if path.stem in PROBES and path.suffix in (".parquet", ".csv"):
            path.unlink()


def write_table(results: Path, probe: str, table: pd.DataFrame) -> None:
    folder = results / "tables"
    write_atomically(folder / f"{probe}.parquet", to_parquet(table))
    write_atomically(folder / f"{probe}.csv", table.to_csv(index=False).encode())
