from __future__ import annotations

import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from harness.errors import HarnessError
from harness.probes._landscape import landscape
from harness.probes.common.neighbourhood import Neighbourhood
from harness.readings import rings
from harness.store import Interrupted
from harness.store.ledger import Ledger
from harness.tests.sessions import PATIENCE_SECONDS
from models import create_model

ROOT = Path(__file__).parents[2]


def images(count, *shape, classes=10, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(count, *shape, generator=generator, dtype=dtype)
    return inputs, (2 * torch.randn(count, classes, generator=generator, dtype=dtype)).softmax(-1)


def in_batches(data, size):
    return list(zip(*(part.split(size) for part in data), strict=True))


def bits(model):
    return {name: tensor.flatten().view(torch.uint8).clone() for name, tensor in model.state_dict().items()}


def unchanged(before, model):
    after = bits(model)
    return before.keys() == after.keys() and all(before[name].equal(after[name]) for name in before)


class Mixture(nn.Module):
    """Convolution, batch norm, a class token, positions, layer norm, attention and a head, in the least size."""

    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(1, 6, 4, stride=4), nn.BatchNorm2d(6)
        self.cls_token, self.pos_embed = nn.Parameter(torch.randn(1, 1, 6)), nn.Parameter(torch.randn(1, 5, 6))
        self.layer_norm, self.qkv, self.head = nn.LayerNorm(6), nn.Linear(6, 18), nn.Linear(6, 10)
        self.register_buffer("table", torch.randn(5, 6))

    def forward(self, inputs):
        maps = self.norm(self.stem(inputs)).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls_token.expand(len(maps), -1, -1), maps], 1) + self.pos_embed + self.table
        queries, keys, values = self.qkv(self.layer_norm(tokens))[:, None].chunk(3, -1)
        return self.head((tokens + scaled_dot_product_attention(queries, keys, values)[:, 0])[:, 0])


def mixture(dtype=torch.float64):
    torch.manual_seed(1)
    model = Mixture().to(dtype)
    model.norm.running_mean.normal_()
    model.norm.running_var.uniform_(0.5, 2)
    return model


DATA = images(24, 1, 8, 8, dtype=torch.float64)


def at_every_point(model, batches, **options):
    """The table, and what the model's parameters and buffers were at each of its rows, all images being one batch."""
    seen = []

    def note(module, _):
        seen.append({name: tensor.detach().clone() for name, tensor in module.state_dict().items()})

    with_note = model.register_forward_pre_hook(note)
    table = landscape(model, batches, **options)
    with_note.remove()
    assert len(seen) == len(table)
    return table, seen


def plane_of(seen, model, points):
    """The two directions, from what the model was at (radius, 0) and (0, radius) with radius 1."""
    weights, half = model.state_dict(), points // 2
    one, other = seen[(2 * half) * points + half], seen[half * points + 2 * half]
    return [{name: corner[name] - weights[name] for name in weights} for corner in (one, other)]


class Squares(nn.Module):
    """Two classes; the cross-entropy with the first is `strength` times the sum of squares of the weights, plus 1.

    log(1 + exp(z)) is q for z = log(exp(q) - 1).
    """

    def __init__(self, weight, strength):
        super().__init__()
        self.weight, self.strength = nn.Parameter(weight), strength

    def forward(self, inputs):
        q = 1 + self.strength * self.weight.square().sum()
        return torch.stack([torch.zeros_like(q), q.expm1().log()]).expand(len(inputs), 2)


FIRST = [(torch.zeros(3, 1, dtype=torch.float64), torch.tensor([[1.0, 0.0]] * 3, dtype=torch.float64))]


@pytest.mark.parametrize("normalisation", ["filter", "official"])
def test_the_surface_of_one_weight_is_known_but_for_two_signs(normalisation):
    """Its directions are the weight itself, or its opposite."""
    model = Squares(torch.tensor([[1.5]], dtype=torch.float64), 0.3)
    table = landscape(model, FIRST, points=5, radius=0.5, directions=4, normalisation=normalisation, weight_decay=0.1)
    for _, rows in table.groupby("sample"):
        fits = [
            (rows.nll - (1 + 0.3 * 1.5**2 * (1 + one * rows.x + other * rows.y) ** 2)).abs().max()
            for one in (-1, 1)
            for other in (-1, 1)
        ]
        assert min(fits) < 1e-12
        norm = 1.5 * ((table.nll - 1) / (0.3 * 1.5**2)).pow(0.5)
        assert np.allclose(table.l2, 0.05 * norm**2, rtol=1e-12)
        assert np.allclose(table.l2_norms, 0.1 * norm, rtol=1e-12)


@pytest.mark.parametrize("normalisation", ["filter", "official"])
def test_the_surface_of_a_quadratic_loss_is_the_quadratic_form(normalisation):
    """Both directions are as long as the weights, so x² and y² have the squared norm for a coefficient."""
    weight = torch.randn(4, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    table = landscape(Squares(weight, 0.2), FIRST, directions=2, normalisation=normalisation)
    length = 0.2 * weight.square().sum().item()
    for _, rows in table.groupby("sample"):
        x, y = rows.x.to_numpy(), rows.y.to_numpy()
        terms = np.stack([np.ones_like(x), x, y, x * y, x**2, y**2], axis=1)
        (constant, slope, other_slope, cross, *squares), *_ = np.linalg.lstsq(terms, rows.nll.to_numpy())
        assert np.allclose(terms @ [constant, slope, other_slope, cross, *squares], rows.nll, rtol=1e-12)
        assert np.allclose([constant - 1, *squares], length, rtol=1e-12)
        assert max(abs(slope), abs(other_slope), abs(cross)) < 2 * length  # Cauchy and Schwarz
        assert np.allclose(rows.l2, 0.025 * (rows.nll - 1) / 0.2, rtol=1e-12)


def test_the_grid_is_the_papers():
    table = landscape(Squares(torch.ones(1, 1, dtype=torch.float64), 0.1), FIRST)
    assert list(table.columns) == ["sample", "images", "x", "y", "nll", "l2", "l2_norms"]
    assert len(table) == 3 * 441
    tenths = [tenth / 10 for tenth in range(-10, 11)]
    assert sorted(set(table.x)) == sorted(set(table.y)) == tenths  # 0.3 is 0.3, not 0.30000000000000004
    assert not table.duplicated(["sample", "x", "y"]).any()
    assert set(table["images"]) == {3}
    centre = table[(table.x == 0) & (table.y == 0)]
    assert centre.nll.nunique() == 1  # the centre belongs to all planes


def in_loops(weight, normalisation):
    """Lengths by which the noise was rescaled: a norm for every filter, or for every place in a filter."""
    lengths = np.zeros(weight.shape)
    if normalisation == "filter":
        for output in range(len(weight)):
            lengths[output] = math.sqrt(sum(value**2 for value in weight[output].flatten().tolist()))
    else:
        for place in np.ndindex(*weight.shape[1:]):
            column = [weight[(output, *place)].item() for output in range(len(weight))]
            lengths[(slice(None), *place)] = math.sqrt(sum(value**2 for value in column))
    return lengths


@pytest.mark.parametrize("normalisation", ["filter", "official"])
def test_directions_are_as_long_as_the_weights(normalisation):
    model = mixture()
    _, seen = at_every_point(model, [DATA], points=3, directions=1, normalisation=normalisation)
    directions = plane_of(seen, model, 3)
    for name in ("stem.weight", "qkv.weight", "head.weight", "cls_token"):
        weight = model.state_dict()[name]
        for direction in directions:
            found = in_loops(direction[name], normalisation)
            assert np.allclose(found, in_loops(weight, normalisation), rtol=1e-9)
            assert not direction[name].equal(weight)
        assert not torch.allclose(directions[0][name], directions[1][name])
    if normalisation == "official":  # one token, so one number to a place
        assert torch.allclose(directions[0]["cls_token"].abs(), model.cls_token.abs())


def test_directions_are_gaussian_before_they_are_rescaled():
    """Of a filter of 400 weights of length 1, the coordinates have the mean 0 and the fourth moment of a Gaussian."""
    torch.manual_seed(0)
    weight = nn.functional.normalize(torch.randn(50, 400, dtype=torch.float64))
    model = Squares(weight, 0.01)
    _, seen = at_every_point(model, FIRST, points=3, directions=1)
    for direction in plane_of(seen, model, 3):
        coordinates = direction["weight"].flatten() * math.sqrt(400)
        assert abs(coordinates.mean()) < 4 / math.sqrt(20_000)
        assert coordinates.pow(4).mean().item() == pytest.approx(3, abs=0.15)


@pytest.mark.parametrize("normalisation", ["filter", "official"])
def test_every_point_is_where_it_says_and_what_must_not_move_does_not(normalisation):
    model = mixture()
    options = {"points": 3, "radius": 1.0, "directions": 1, "normalisation": normalisation, "weight_decay": 0.1}
    table, seen = at_every_point(model, [DATA], **options)
    one, other = plane_of(seen, model, 3)
    weights = model.state_dict()
    moved = {"stem.weight", "qkv.weight", "head.weight", "cls_token"}
    parameters = dict(model.named_parameters())
    for (_, row), here in zip(table.iterrows(), seen, strict=True):
        for name, weight in weights.items():
            if name in moved:
                assert torch.allclose(here[name], weight + row.x * one[name] + row.y * other[name], atol=1e-12)
            else:
                assert here[name].equal(weight), name
        squares = [here[name].square().sum().item() for name in parameters]
        assert row.l2 == pytest.approx(0.05 * sum(squares), rel=1e-9)
        assert row.l2_norms == pytest.approx(0.1 * sum(map(math.sqrt, squares)), rel=1e-9)
    assert {name for name in weights if not seen[0][name].equal(weights[name])} == moved


@pytest.mark.parametrize("name", ["vit_micro", "swin_micro", "pit_micro", "alter_resnet_micro"])
def test_positions_and_vectors_of_real_networks_stay(name):
    torch.manual_seed(0)
    model = create_model(name, num_classes=10, image_size=8, in_chans=1)
    _, seen = at_every_point(model, [images(4, 1, 8, 8)], points=3, directions=1)
    weights = model.state_dict()
    moved = {name for name in weights if not seen[0][name].equal(weights[name])}
    buffers = {name for name, _ in model.named_buffers()}
    assert moved == {
        name
        for name, weight in weights.items()
        if weight.ndim > 1 and "pos_embed" not in name and "relative_position" not in name and name not in buffers
    }
    assert ("cls_token" in moved) == ("cls_token" in weights)


def plain_nll(model, data):
    """By the definition, in numpy."""
    with torch.no_grad():
        logits, targets = model.eval()(data[0]).double().numpy(), data[1].double().numpy()
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    return -(targets * np.log(exponentials / exponentials.sum(1, keepdims=True))).sum(1).mean()


def test_the_loss_is_that_of_a_network_with_those_weights():
    model = mixture()
    table, seen = at_every_point(model, [DATA], points=3, directions=2)
    copy = mixture()
    for nll, here in zip(table.nll, seen, strict=True):
        copy.load_state_dict(here)
        assert nll == pytest.approx(plain_nll(copy, DATA), rel=1e-12)
    centre = table[(table.x == 0) & (table.y == 0)]
    assert list(centre.nll) == pytest.approx([plain_nll(model, DATA)] * 2, rel=1e-12)


@settings(max_examples=40)
@given(size=st.integers(1, 24), at_once=st.integers(1, 12), points=st.sampled_from([3, 5]))
def test_neither_batches_nor_company_change_the_surface(size, at_once, points):
    options = {"points": points, "directions": 1}
    table = landscape(mixture(), in_batches(DATA, size), at_once=at_once, **options)
    pd.testing.assert_frame_equal(table, landscape(mixture(), [DATA], **options), rtol=1e-11)


@pytest.mark.parametrize("name", ["resnet_micro", "vit_micro", "swin_micro", "pit_micro"])
def test_many_points_at_once_through_real_networks(name):
    torch.manual_seed(0)
    model = create_model(name, num_classes=10, image_size=8, in_chans=1)
    batches = in_batches(images(12, 1, 8, 8), 5)
    one, many = (landscape(model, batches, points=3, directions=1, at_once=at_once) for at_once in (1, 4))
    pd.testing.assert_frame_equal(one, many, rtol=1e-4)


def test_the_same_twice_bit_for_bit_also_of_images_that_can_be_drawn_but_once():
    """Augmentation would be drawn anew at every point if the batches were asked for again."""
    generator = torch.Generator().manual_seed(0)

    def drawn():
        for inputs, targets in in_batches(DATA, 8):
            noise = torch.randn(inputs.shape, generator=generator, dtype=inputs.dtype)
            yield inputs + noise, targets

    batches = list(drawn())
    generator.manual_seed(0)
    table = landscape(mixture(), drawn(), points=3)
    assert table.equals(landscape(mixture(), batches, points=3))


def test_seeds_and_planes_have_directions_of_their_own():
    tables = [landscape(mixture(), [DATA], points=3, directions=2, direction_seed=seed).nll.tolist() for seed in (0, 1)]
    surfaces = [table[:9] for table in tables] + [table[9:] for table in tables]
    assert len({surface[0] for surface in surfaces}) == 4
    assert landscape(mixture(), [DATA], points=3, directions=1).nll.tolist() == tables[0][:9]  # the first of two


@pytest.mark.parametrize("at_once", [1, 4])
def test_the_network_is_left_as_it_was(at_once):
    model = mixture(torch.float32)
    model.head.weight.data[0, :2] = torch.tensor([-0.0, 1e-42])
    before, moved = bits(model), [id(parameter) for parameter in model.parameters()]
    data = tuple(part.float() for part in DATA)
    landscape(model.train(), [data], points=3, directions=1, at_once=at_once)
    assert unchanged(before, model)  # batch norm's statistics too
    assert moved == [id(parameter) for parameter in model.parameters()]
    assert not model.training


@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt])
def test_the_network_is_left_as_it_was_also_after_an_exception(fault):
    model, calls = mixture(), []

    def fail(*_):
        calls.append(1)
        if len(calls) == 6:
            raise fault("here")

    model.register_forward_hook(fail)
    before = bits(model)
    with pytest.raises(fault, match="here"):
        landscape(model, [DATA], points=3)
    assert unchanged(before, model)


def test_what_overflows_stays_what_it_is(tmp_path):
    """q = 1 + 400 w² overflows in exp beyond 709; the logit is then infinite and so is the loss."""
    model = Squares(torch.tensor([[1.0]], dtype=torch.float64), 400.0)
    table = landscape(model, FIRST, points=3, directions=1)
    corner = table[table.nll.isna() | np.isinf(table.nll)]
    assert 0 < len(corner) < 9
    ledger = Ledger(tmp_path / "ledger", "a")
    landscape(model, FIRST, points=3, directions=1, ledger=ledger)
    again = landscape(model, FIRST, points=3, directions=1, ledger=Ledger(ledger.path, "a"))
    assert again.nll.to_numpy().tobytes() == table.nll.to_numpy().tobytes()  # one nan may be unlike another
    assert rings(table).left_out.tolist() == [len(corner)]


def test_full_precision_inside_and_the_old_one_after():
    model, inside = mixture(), []
    model.register_forward_hook(lambda *_: inside.append(torch.backends.cuda.matmul.allow_tf32))
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        with torch.autocast("cpu", torch.bfloat16):
            table = landscape(model, [DATA], points=3, directions=1)
        assert torch.backends.cuda.matmul.allow_tf32
    finally:
        torch.backends.cuda.matmul.allow_tf32 = False
    assert not any(inside)
    assert table.equals(landscape(model, [DATA], points=3, directions=1))


class Sceptical(nn.Module):
    """Looks at its weights, which vmap cannot follow."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 10)

    def forward(self, inputs):
        return self.head(inputs) * (1.0 if self.head.weight.sum() > 0 else 0.5)


def test_a_model_that_vmap_cannot_follow_goes_point_by_point():
    model, data = Sceptical(), [images(6, 4)]
    with pytest.warns(UserWarning, match="4 points .* more than torch.func.vmap can follow in this model: 1 instead"):
        table = landscape(model, data, points=3, directions=2, at_once=4)
    assert table.equals(landscape(model, data, points=3, directions=2))


def test_fewer_points_at_once_where_memory_runs_out(monkeypatch):
    tried, stacked = [], Neighbourhood._stacked

    def small(self, plane, points):
        tried.append(len(points))
        if len(points) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return stacked(self, plane, points)

    monkeypatch.setattr(Neighbourhood, "_stacked", small)
    with pytest.warns(UserWarning, match="do not fit into memory"):
        table = landscape(mixture(), [DATA], points=3, directions=1, at_once=8)
    assert tried == [8, 4, 2, 2, 2, 2]  # and the ninth alone
    pd.testing.assert_frame_equal(table, landscape(mixture(), [DATA], points=3, directions=1), rtol=1e-11)


@pytest.mark.parametrize(
    ("options", "data", "says"),
    [
        ({"points": 20}, [DATA], "odd"),
        ({"points": 1}, [DATA], "at least 3"),
        ({"normalisation": "fliter"}, [DATA], "'filter'"),
        ({}, [], "without images"),
        ({}, [(DATA[0], torch.zeros(24, dtype=torch.long))], r"soft targets.*found int64 of shape \(24,\)"),
        ({}, [(DATA[0], DATA[1][:5])], "found 24 images and 5 labels"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(options, data, says):
    with pytest.raises(HarnessError, match=says):
        landscape(mixture(), data, **options)


def test_a_network_without_matrices_has_no_landscape():
    with pytest.raises(HarnessError, match="the model has none"):
        landscape(nn.LayerNorm(10), [images(3, 10)])


def test_asked_to_stop_it_has_kept_what_is_done(tmp_path):
    whole = landscape(mixture(), [DATA], points=5, directions=2, at_once=4)
    path, calls, stops = tmp_path / "ledger", [], 0
    model = mixture()
    before = bits(model)
    while True:
        asked = iter(range(100))
        try:
            table = landscape(
                model,
                [DATA],
                points=5,
                directions=2,
                at_once=4,
                ledger=Ledger(path, "a"),
                should_stop=lambda asked=asked: next(asked) == 3,
            )
            break
        except Interrupted:
            stops += 1
            calls.append(len(Ledger(path, "a").found))
            assert unchanged(before, model)
    assert calls == [12, 24, 33, 45]  # three groups of 4 a time, but the seventh group of a plane has one point
    assert stops == 4
    assert table.equals(whole)


FORKED = """
import os, sys
import torch
from torch import nn
from pathlib import Path
from harness.store.ledger import Ledger
from harness.probes._landscape import landscape

def work(folder, ledger, out):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1, stride=2),
        nn.Flatten(), nn.LayerNorm(256), nn.Linear(256, 10),
    )
    batches = [(torch.randn(200, 1, 8, 8), torch.randn(200, 10).softmax(-1))]
    evaluated = os.open(folder + "/evaluated", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    model.register_forward_hook(lambda *_: os.write(evaluated, b".") and None)
    table = landscape(model, batches, directions=1, ledger=Ledger(Path(ledger), "a"))
    table.to_parquet(out + ".part")
    os.rename(out + ".part", out)

while line := sys.stdin.readline():
    child = os.fork()
    if child == 0:
        work(*line.split())
        os._exit(0)
    print(child, flush=True)
    sys.stdin.readline()
    print(os.waitpid(child, 0)[1], flush=True)
"""


class Forks:
    """Landscapes of 441 points in processes of their own, without the second that it takes to load torch."""

    def __init__(self, folder):
        self.folder, self.evaluated = folder, folder / "evaluated"
        self.server = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", FORKED],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, ledger, out):
        self.server.stdin.write(f"{self.folder} {ledger} {out}\n")
        self.server.stdin.flush()
        return int(self.server.stdout.readline())

    def status(self):
        """How the last one ended; until then its number is nobody else's."""
        self.server.stdin.write("how?\n")
        self.server.stdin.flush()
        return int(self.server.stdout.readline())

    def evaluations(self):
        return self.evaluated.stat().st_size if self.evaluated.exists() else 0


@pytest.fixture
def forks(tmp_path):
    forks = Forks(tmp_path)
    yield forks
    forks.server.stdin.close()
    forks.server.wait(60)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_killed_again_and_again_it_comes_to_the_same_bits_and_loses_one_point_a_kill(forks, tmp_path):
    ledger, out, whole = tmp_path / "ledger", tmp_path / "table", tmp_path / "whole"
    forks.start(tmp_path / "other", whole)
    assert forks.status() == 0
    assert forks.evaluations() == 441
    forks.evaluated.unlink()
    random.seed(0)
    kills = 0
    while not out.exists():
        child, until = forks.start(ledger, out), forks.evaluations() + random.randint(1, 40)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while forks.evaluations() < until and not out.exists() and time.monotonic() < deadline:
            time.sleep(random.uniform(0, 0.002))
        os.kill(child, signal.SIGKILL)
        status = forks.status()
        if status == 0:
            break
        assert status == signal.SIGKILL
        kills += 1
        assert forks.evaluations() - len(Ledger(ledger, "a").found) <= kills
    assert kills >= 10
    assert forks.evaluations() <= 441 + kills
    assert out.read_bytes() == whole.read_bytes()


def test_damaged_points_are_evaluated_again(tmp_path):
    whole = landscape(mixture(), [DATA], points=5, directions=1)
    ledger = Ledger(tmp_path / "ledger", "a")
    landscape(mixture(), [DATA], points=5, directions=1, ledger=ledger)
    lines = ledger.path.read_bytes().splitlines(keepends=True)
    assert len(lines) == 25
    lines[3] = lines[3].replace(b".", b",")
    lines[7] = lines[7][:-9]  # and so joined to the next
    lines[-1] = lines[-1][:-1]
    ledger.path.write_bytes(b"".join(lines))
    model, calls = mixture(), []
    model.register_forward_hook(lambda *_: calls.append(1))
    assert landscape(model, [DATA], points=5, directions=1, ledger=Ledger(ledger.path, "a")).equals(whole)
    assert len(calls) == 4
    landscape(model, [DATA], points=5, directions=1, ledger=Ledger(ledger.path, "a"))
    assert len(calls) == 4


@pytest.mark.parametrize("other", ["weights", "direction_seed", "radius", "points", "normalisation", "batchnorm"])
def test_points_of_another_landscape_are_not_taken_for_its_own(tmp_path, other):
    def measured(ledger=None, changed=False):
        model = mixture()
        if changed and other == "weights":
            model.head.weight.data[0, 0] += 1e-3
        options = {"direction_seed": 1, "radius": 0.5, "points": 5, "normalisation": "official", "batchnorm": "fresh"}
        chosen = {other: options[other]} if changed and other in options else {}
        return landscape(model, [DATA], ledger=ledger, **{"points": 3, "directions": 1, **chosen})

    ledger = Ledger(tmp_path / "ledger", "a")
    measured(ledger)
    assert measured(ledger, changed=True).equals(measured(changed=True))


def made_table(nll, l2, norms, points=21, samples=1):
    half = points // 2
    steps = [step / half for step in range(-half, half + 1)]
    rows = [
        (sample, 10, x, y, nll(x, y) + sample * x, l2(x, y), norms(x, y))
        for sample in range(samples)
        for x in steps
        for y in steps
    ]
    return pd.DataFrame(rows, columns=["sample", "images", "x", "y", "nll", "l2", "l2_norms"])


def test_rings_of_a_pyramid():
    table = made_table(lambda x, y: 2 + max(abs(x), abs(y)), lambda x, y: 7 + x**2, lambda x, y: 3 + y)
    found = rings(table)
    assert list(found.index) == [tenth / 10 for tenth in range(1, 11)]
    assert np.allclose(found.nll, found.index)
    assert np.allclose(found.nll_and_l2_norms, found.index)  # y cancels over a ring
    assert found.cells.tolist() == [8 * number for number in range(1, 11)]
    assert found.left_out.tolist() == [0] * 10
    # The innermost ring has |x| = 0.1 in six of its eight cells.
    assert found.nll_and_l2.loc[0.1] == pytest.approx(0.1 + 0.75 * 0.01)
    assert found.loc[0.3:].index[0] == 0.3


@given(st.integers(0, 2**31), st.integers(1, 3))
def test_rings_in_loops(seed, samples):
    stream = np.random.default_rng(seed)
    table = made_table(lambda x, y: x * y, lambda x, y: x + 2, lambda x, y: y**2, points=7, samples=samples)
    table["nll"] += stream.normal(size=len(table))
    table.loc[(table.x == 0) & (table.y == 0), "nll"] = 1.25
    holes = stream.random(len(table)) < 0.2
    holes &= ((table.x != 0) | (table.y != 0)).to_numpy()
    table.loc[holes, "nll"] = stream.choice([np.inf, -np.inf, np.nan], holes.sum())
    found = rings(table.sample(frac=1, random_state=seed % 1000))
    for radius in (1 / 3, 2 / 3, 1.0):
        rises, left_out = {"nll": [], "nll_and_l2": [], "nll_and_l2_norms": []}, 0
        for row in table.itertuples():
            if max(abs(row.x), abs(row.y)) != radius:
                continue
            if not math.isfinite(row.nll):
                left_out += 1
                continue
            rises["nll"].append(row.nll - 1.25)
            rises["nll_and_l2"].append(row.nll + row.l2 - 1.25 - 2)
            rises["nll_and_l2_norms"].append(row.nll + row.l2_norms - 1.25)
        assert found.left_out.loc[radius] == left_out
        assert found.cells.loc[radius] == len(rises["nll"])
        for name, values in rises.items():
            assert found[name].loc[radius] == pytest.approx(np.mean(values) if values else math.nan, nan_ok=True)


def test_a_ring_without_a_finite_cell_has_no_rise():
    zeros = [lambda x, y: 0.0] * 2
    table = made_table(lambda x, y: math.inf if 1 in (abs(x), abs(y)) else 1.0, *zeros, points=5)
    found = rings(table)
    assert found.nll.isna().tolist() == [False, True]
    assert found.left_out.tolist() == [0, 16]


def test_rings_do_without_torch():
    code = "import sys, harness.probes, harness.readings; harness.readings.rings; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stdout == "False\n"
