from __future__ import annotations

import copy
import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from harness.curvature import density, smooth, trace
from harness.curvature.density import quadrature
from harness.curvature.folded import Folded
from harness.curvature.hvp import full_precision, hessian_products
from harness.curvature.lanczos import lanczos
from harness.curvature.power import power_iteration
from harness.errors import HarnessError
from harness.judging.statistics import SampleTable
from harness.probes import PROBES, hessian
from harness.readings import ape, nep
from models import create_model
from models._timm import timm
from models.alternet import MSABlock

CLASSES = 4


class Tokens(nn.Module):
    """[image, channel, height, width] -> [image, token, channel], through a body, averaged."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        return self.body(x.flatten(2).transpose(1, 2)).mean(1)


def mean_head(channels):
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES)]


def convolutional(norm, second):
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), norm, nn.GELU(), nn.Conv2d(4, 6, 3), second, nn.GELU(), *mean_head(6)
    )  # fmt: skip


NETWORKS = {
    "mlp": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(36, 6), nn.Tanh(), nn.Linear(6, 6), nn.GELU(), nn.Linear(6, CLASSES)
    ),
    "batch norm": lambda: convolutional(nn.BatchNorm2d(4), nn.BatchNorm2d(6)),
    "layer norm": lambda: convolutional(nn.LayerNorm([4, 4, 4]), nn.LayerNorm([6, 2, 2])),
    "group norm": lambda: convolutional(nn.GroupNorm(2, 4), nn.GroupNorm(3, 6)),
    "attention": lambda: nn.Sequential(
        nn.Conv2d(1, 6, 2, 2),
        Tokens(timm.models.vision_transformer.Block(6, num_heads=2, mlp_ratio=1.0)),
        nn.LayerNorm(6),
        nn.Linear(6, CLASSES),
    ),
    "alternet": lambda: nn.Sequential(
        nn.Conv2d(1, 6, 3), MSABlock(channels=6, reduced=4, heads=2, dim_head=3, window=2, rate=0.0), *mean_head(6)
    ),
}


@pytest.fixture(scope="module", params=NETWORKS)
def network(request):
    """A network in float64 whose norms do something, and three mini-batches of 16."""
    torch.manual_seed(1)
    model = NETWORKS[request.param]().double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.4 * torch.randn_like(parameter))
    for name, buffer in model.named_buffers():
        if "running" in name:
            buffer.uniform_(0.5, 2.0)
    targets = (3 * torch.randn(3, 16, CLASSES)).softmax(-1).double()
    return model, torch.randn(3, 16, 1, 6, 6).double(), targets


def gradient_at(model, weights, inputs, targets):
    """The gradient as any training loop takes it."""
    before = parameters_to_vector(model.parameters()).detach()
    vector_to_parameters(weights, model.parameters())
    gradient = torch.autograd.grad(cross_entropy(model(inputs), targets), list(model.parameters()))
    vector_to_parameters(before, model.parameters())
    return parameters_to_vector(gradient)


def difference(model, direction, inputs, targets, step=1e-3):
    """Central difference of the gradient along a direction, of fourth order."""
    at = parameters_to_vector(model.parameters()).detach()
    near, far = (
        gradient_at(model, at + h * direction, inputs, targets)
        - gradient_at(model, at - h * direction, inputs, targets)
        for h in (step, 2 * step)
    )
    return (8 * near - far) / (12 * step)


def dense(model, inputs, targets):
    size = sum(parameter.numel() for parameter in model.parameters())
    columns = [difference(model, direction, inputs, targets) for direction in torch.eye(size).double()]
    matrix = torch.stack(columns).numpy()
    assert np.abs(matrix - matrix.T).max() < 1e-7 * np.abs(matrix).max()
    return (matrix + matrix.T) / 2


@pytest.fixture(scope="module")
def spectrum(network):
    """All eigenvalues of the first mini-batch's Hessian."""
    model, inputs, targets = network
    return np.linalg.eigvalsh(dense(model, inputs[0], targets[0]))


def leading(values, top=5):
    return values[np.argsort(-np.abs(values))][:top]


def batches(inputs, targets):
    return list(zip(inputs, targets, strict=True))


@pytest.mark.parametrize("at_once", [1, 3])
def test_a_product_is_the_central_difference_of_the_gradient(network, at_once):
    model, inputs, targets = network
    product, gradients = hessian_products(model, inputs[:at_once], targets[:at_once])
    vectors = torch.randn(gradients.shape, generator=torch.Generator().manual_seed(0)).double()
    vectors /= vectors.norm(dim=1, keepdim=True)
    for index, found in enumerate(product(vectors)):
        expected = difference(model, vectors[index], inputs[index], targets[index])
        assert (found - expected).norm() < 1e-6 * expected.norm()
        plain = gradient_at(model, parameters_to_vector(model.parameters()).detach(), inputs[index], targets[index])
        torch.testing.assert_close(gradients[index], plain)


class InPlace(nn.Module):
    """What BatchNorm is given is the convolution's tensor, though no longer what it computed."""

    def forward(self, x):
        return x.mul_(x.sigmoid())


NORMALISED = {
    "convolved with a bias": lambda: [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.GELU()],
    "in groups": lambda: [
        nn.Conv2d(1, 4, 3, bias=False), nn.GELU(), nn.Conv2d(4, 4, 3, 2, padding="valid", groups=2), nn.BatchNorm2d(4)
    ],
    "without scale and shift": lambda: [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, affine=False), nn.GELU()],
    "twice": lambda: [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.BatchNorm2d(4), nn.GELU()],
    "behind something else": lambda: [nn.Conv2d(1, 4, 3), nn.GELU(), nn.BatchNorm2d(4), nn.GELU()],
    "behind something in place": lambda: [nn.Conv2d(1, 4, 3), InPlace(), nn.BatchNorm2d(4), nn.GELU()],
    "no maps": lambda: [nn.Flatten(), nn.Linear(36, 4), nn.BatchNorm1d(4), nn.GELU(), nn.Unflatten(1, (4, 1, 1))],
    "with the batch's statistics": lambda: [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)],
}  # fmt: skip


@pytest.mark.parametrize("at_once", [1, 2])
@pytest.mark.parametrize("layers", NORMALISED)
def test_products_through_batchnorm_wherever_it_stands(layers, at_once):
    torch.manual_seed(2)
    model = nn.Sequential(*NORMALISED[layers](), *mean_head(4)).double().eval()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if "running" in name:
                tensor.uniform_(0.5, 2.0)
            elif tensor.is_floating_point():
                tensor.add_(0.4 * torch.randn_like(tensor))
    inputs, targets = torch.randn(at_once, 8, 1, 6, 6).double(), torch.rand(at_once, 8, CLASSES).double().softmax(-1)
    product, gradients = hessian_products(model, inputs, targets)
    vectors = torch.randn_like(gradients) / gradients.shape[1] ** 0.5
    at = parameters_to_vector(model.parameters()).detach()
    for index, found in enumerate(product(vectors)):
        torch.testing.assert_close(gradients[index], gradient_at(model, at, inputs[index], targets[index]))
        expected = difference(model, vectors[index], inputs[index], targets[index])
        assert (found - expected).norm() < 1e-6 * expected.norm()


@pytest.mark.parametrize("name", ["resnet_mini", "resnext_mini"])
def test_batchnorm_behind_a_convolution_leaves_no_trace(name):
    model = create_model(name, num_classes=10, image_size=32).eval()
    with Folded():
        logits = model(torch.randn(1, 3, 32, 32))
    found, nodes = set(), [logits.grad_fn]
    while nodes:
        node = nodes.pop()
        if node is not None and node not in found:
            found.add(node)
            nodes += [before for before, _ in node.next_functions]
    assert not {"NativeBatchNormBackward0", "AddcmulBackward0"} & {node.name() for node in found}


def test_the_leading_eigenvalues_are_those_of_the_dense_hessian(network, spectrum):
    model, inputs, targets = network
    table = hessian(model, batches(inputs[:1], targets[:1]), weight_decay=0.0)
    np.testing.assert_allclose(table.eigenvalue, leading(spectrum), rtol=1e-4)
    assert table.residual.max() < 1e-3
    assert table["rank"].tolist() == [1, 2, 3, 4, 5]
    assert table.images.eq(16).all()


def test_negative_eigenvalues_are_among_them(network, spectrum):
    model, inputs, targets = network
    expected = leading(spectrum, 12)
    assert (expected < 0).any()
    table = hessian(model, batches(inputs[:1], targets[:1]), weight_decay=0.0, top=12)
    np.testing.assert_allclose(table.eigenvalue, expected, rtol=1e-4)


def test_single_precision_finds_them_too(network, spectrum):
    model, inputs, targets = network
    single = copy.deepcopy(model).float()
    table = hessian(single, batches(inputs[:1], targets[:1]), weight_decay=0.0)
    np.testing.assert_allclose(table.eigenvalue, leading(spectrum), rtol=1e-4)


def test_the_reported_residual_is_that_of_the_true_product(network):
    """Residuals come out of the recurrence; here they are formed from differences of gradients."""
    model, inputs, targets = network
    product, gradients = hessian_products(model, inputs[:1], targets[:1])
    ((found,),) = lanczos(product, gradients[:, None], [random_state()])
    for value, residual, vector in zip(found.values, found.residuals, found.vectors, strict=True):
        rest = difference(model, vector, inputs[0], targets[0]) - value * vector
        assert float(rest.norm()) == pytest.approx(residual * abs(value), rel=0.01, abs=1e-6 * abs(value))


def test_weight_decay_moves_every_eigenvalue_by_itself(network, spectrum):
    model, inputs, targets = network
    decay = 0.4 * np.abs(spectrum).max()  # so much that other eigenvalues lead
    table = hessian(model, batches(inputs[:1], targets[:1]), weight_decay=decay)
    np.testing.assert_allclose(table[table.l2].eigenvalue, leading(spectrum + decay), rtol=1e-4)
    np.testing.assert_allclose(table[~table.l2].eigenvalue, leading(spectrum), rtol=1e-4)


def test_company_does_not_matter(network):
    model, inputs, targets = network
    alone, together = (
        hessian(model, batches(inputs, targets), weight_decay=0.0, at_once=at_once).drop(columns=["products", "l2"])
        for at_once in (1, 3)
    )
    np.testing.assert_allclose(alone, together, rtol=1e-6, atol=1e-6)
    # Another random start may find a pair closer than the tolerance as one; so none may be that close.
    alone, swapped = (
        hessian(model, data, weight_decay=0.0, tolerance=1e-6)
        for data in (batches(inputs, targets), batches(inputs.flip(0), targets.flip(0)))
    )
    np.testing.assert_allclose(
        swapped.eigenvalue.to_numpy().reshape(3, 5)[::-1], alone.eigenvalue.to_numpy().reshape(3, 5), rtol=1e-3
    )


def test_a_short_basis_and_several_starts_change_nothing(network, spectrum):
    model, inputs, targets = network
    for options in ({"basis": 14}, {"starts": 3}):
        table = hessian(model, batches(inputs[:1], targets[:1]), weight_decay=0.0, **options)
        np.testing.assert_allclose(table.eigenvalue, leading(spectrum), rtol=1e-4)


def test_trace_and_moments_of_the_density(network, spectrum):
    model, inputs, targets = network
    n = len(spectrum)
    table = density(model, batches(inputs[:1], targets[:1]), weight_decay=0.5, steps=30, vectors=10)
    assert table.weight.sum() == pytest.approx(1)
    assert table.parameters.eq(n).all()
    found = trace(table.eigenvalue, table.weight, n)
    error = math.sqrt(2 * (spectrum**2).sum() / 10)
    assert abs(found - (spectrum + 0.5).sum()) < 4 * error


@pytest.mark.parametrize("name", ["resnet_micro", "vit_micro", "swin_micro", "pit_micro", "alter_resnet_micro"])
def test_products_of_the_suites_networks_do_not_depend_on_company(name):
    torch.manual_seed(0)
    model = create_model(name, num_classes=10, image_size=8, in_chans=1).double().eval()
    inputs, targets = torch.randn(2, 3, 1, 8, 8), torch.randn(2, 3, 10).softmax(-1)
    both, gradients = hessian_products(model, inputs, targets)
    vectors = torch.randn_like(gradients)
    for index, found in enumerate(both(vectors)):
        alone, _ = hessian_products(model, inputs[index, None], targets[index, None])
        torch.testing.assert_close(found, alone(vectors[index, None])[0])


def test_fused_attention_gives_way():
    torch.manual_seed(0)
    model = create_model("vit_micro", num_classes=10, image_size=8, in_chans=1, depth=1).eval()
    table = hessian(model, [(torch.randn(4, 1, 8, 8), torch.randint(10, (4,)))], top=2)
    assert table.residual.max() < 1e-3


def symmetric(eigenvalues, seed=0):
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(eigenvalues),) * 2))
    return torch.from_numpy(rotation * np.asarray(eigenvalues) @ rotation.T)


def random_state(seed=0):
    return torch.Generator().manual_seed(seed)


def solve(matrix, seed=0, starts=1, **options):
    generators = [random_state(seed)]
    start = torch.randn(1, starts, len(matrix), generator=generators[0], dtype=matrix.dtype)
    ((found,),) = lanczos(lambda vectors: vectors @ matrix, start, generators, **options)
    return found


@st.composite
def spectra(draw):
    """Magnitudes apart by 2 % or more on each side of zero, copies up to a number, and a small bulk."""
    copies = draw(st.integers(1, 3))
    signs = draw(st.sampled_from([(1,), (-1,), (1, -1)]))
    values, magnitude = [], 1.0
    for _ in range(draw(st.integers(3, 10))):
        magnitude *= draw(st.floats(1.02, 2.0))
        for sign in signs:
            # the two sides may come as close as they like
            values += [sign * magnitude * draw(st.sampled_from([1.0, 1.0001, 1.01]))] * draw(st.integers(1, copies))
    bulk = draw(st.integers(0, 60))
    values += list(np.linspace(-0.5, 0.5, bulk))
    assume(len(values) >= 5)
    return np.array(values), copies


# The same examples every time: among some hundred such spectra there is one whose eigenvalues lie so close that a start
# vector's mixture of them passes for one (docs/probes.md). That is a limit of the stopping rule, not of the change that
# happens to draw it.
@settings(max_examples=100, deadline=None, derandomize=True)
@given(spectra(), st.integers(0, 2**31), st.sampled_from([14, 40]), st.sampled_from([0.0, 0.3]))
def test_random_quadratics(given_spectrum, seed, basis, shift):
    values, copies = given_spectrum
    found = solve(symmetric(values, seed), seed, starts=copies, basis=basis, shifts=[shift])
    moved = values + shift
    np.testing.assert_allclose(np.abs(found.values), np.sort(np.abs(moved))[::-1][:5], rtol=1e-3)
    for value in found.values:  # every one is an eigenvalue, no more often than it occurs
        assert (np.abs(found.values - value) < 1e-3 * abs(value)).sum() <= (
            np.abs(moved - value) < 2e-3 * abs(value)
        ).sum()
    image = found.vectors @ symmetric(values, seed) + shift * found.vectors
    residual = (image - torch.from_numpy(found.values)[:, None] * found.vectors).norm(dim=1).numpy()
    np.testing.assert_allclose(residual / np.abs(found.values), found.residuals, atol=1e-11)
    np.testing.assert_allclose(found.vectors @ found.vectors.T, np.eye(5), atol=1e-11)
    assert found.residuals.max() < 1e-3


def test_single_precision_stays_orthogonal_over_many_restarts():
    values = np.concatenate([np.linspace(-1, 1, 200), [1.03, -1.02, 1.02, -1.01, 1.01]])
    found = solve(symmetric(values).float(), basis=14)
    assert found.products > 50
    np.testing.assert_allclose(found.vectors @ found.vectors.T, np.eye(5), atol=1e-5)
    np.testing.assert_allclose(np.abs(found.values), [1.03, 1.02, 1.02, 1.01, 1.01], rtol=1e-3)


def test_a_matrix_smaller_than_what_is_asked_for():
    found = solve(symmetric([3.0, -2.0, 1.0]), top=5)
    np.testing.assert_allclose(found.values, [3, -2, 1], rtol=1e-10)


def test_few_distinct_eigenvalues_exhaust_the_krylov_space():
    found = solve(symmetric([5.0] * 3 + [1.0] * 20 + [0.0] * 20), top=4, starts=3)
    np.testing.assert_allclose(found.values, [5, 5, 5, 1], rtol=1e-10)
    assert solve(torch.zeros(20, 20).double()).values.tolist() == [0] * 5


def test_the_limit_ends_it_with_residuals_that_say_so():
    found = solve(symmetric(np.linspace(0.9, 1, 300)), limit=12)
    assert found.products == 12
    assert found.residuals.max() > 1e-3


def official(matrix, seed=0, **options):
    return power_iteration(lambda v: v @ matrix, matrix[:1], random_state(seed), **options)


def test_power_iteration_finds_well_separated_eigenvalues():
    values = np.array([-100.0, 60.0, 30.0, -15.0, 8.0, *np.linspace(-1, 1, 50)])
    found = official(symmetric(values))
    np.testing.assert_allclose(found.values, values[:5], rtol=5e-3)
    assert found.products < 100


def test_power_iteration_returns_no_eigenvalues_where_signs_compete():
    """Eigenvalues ±1 and ±0.9 above a small bulk: the quotient settles in between, and negative ones are lost."""
    values = np.array([1.0, -0.999, 0.9, -0.8995, 0.8, *np.linspace(-0.3, 0.3, 60)])
    matrix = symmetric(values)
    found = official(matrix)
    nearest = np.abs(found.values[:, None] - values).min(axis=1)
    assert (nearest > 0.05).any()
    assert found.residuals.max() > 0.1  # which is how one can know
    np.testing.assert_allclose(solve(matrix).values, values[:5], rtol=1e-5)


def test_power_iteration_on_a_network_agrees_where_eigenvalues_are_apart(network, spectrum):
    model, inputs, targets = network
    table = hessian(model, batches(inputs, targets)[:1], weight_decay=0.0, convention="official")
    sharp = table[table.residual < 1e-2]
    for value in sharp.eigenvalue:
        assert np.abs(spectrum - value).min() < 1e-2 * abs(value)
    assert table["rank"].tolist() == [1, 2, 3, 4, 5]


def test_the_quadrature_is_exact_up_to_its_degree():
    values = np.concatenate([np.linspace(-1, 1, 60), [5.0, -4.0]])
    matrix, generators = symmetric(values), [random_state(3)]
    nodes, weights = quadrature(lambda v: v @ matrix, matrix[:1], generators, steps=6, vectors=2)
    again, moments = random_state(3), np.zeros(12)
    for _ in range(2):
        vector = torch.randn(62, generator=again, dtype=torch.float64)
        vector, power = vector / vector.norm(), vector / vector.norm()
        for degree in range(12):
            moments[degree] += float(vector @ power) / 2
            power = matrix @ power
    np.testing.assert_allclose([weights[0] @ nodes[0] ** d for d in range(12)], moments, rtol=1e-10)
    # as many steps as dimensions: Hutchinson's estimator of any function, here the count of eigenvalues above 2
    nodes, weights = quadrature(lambda v: v @ matrix, matrix[:1], [random_state(4)], steps=62, vectors=200)
    assert 62 * weights[0][nodes[0] > 2].sum() == pytest.approx(1, abs=0.4)
    assert trace(nodes[0], weights[0], 62) == pytest.approx(values.sum(), abs=4 * math.sqrt(2 * 61 / 200))


def test_a_multiple_of_the_identity_has_its_trace_from_any_vector():
    nodes, weights = quadrature(lambda v: 3 * v, torch.zeros(1, 20).double(), [random_state()], steps=5)
    assert trace(nodes[0], weights[0], 20) == pytest.approx(60)


def test_the_smoothed_density_integrates_to_one():
    grid = np.linspace(-10, 10, 4001)
    curve = smooth([-1.0, 2.0], [0.25, 0.75], grid, 0.3)
    assert curve.sum() * (grid[1] - grid[0]) == pytest.approx(1)
    assert grid[curve.argmax()] == pytest.approx(2)


def test_nep_and_ape():
    def spectrum(*values, l2=True):
        signs = [{"negative": value < 0, "positive": value > 0, "positive_part": max(value, 0)} for value in values]
        return pd.DataFrame(signs, dtype=float).assign(eigenvalue=values, l2=l2)

    both = pd.concat([spectrum(3.0, -1.0, 0.0, 5.0), spectrum(1.0, -1.0, l2=False)])
    assert (nep(both), ape(both)) == (0.25, 4)
    assert (nep(both, l2=False), ape(both, l2=False)) == (0.5, 1)
    assert math.isnan(ape(spectrum(-1.0, 0.0)))
    assert nep(spectrum(-1.0, -2.0)) == 1


@given(st.lists(st.lists(st.floats(-10, 10), min_size=3, max_size=3), min_size=1, max_size=5))
def test_nep_and_ape_of_the_average_are_those_of_all_values(spectra):
    rows = [
        (sample, 16, True, rank, value, value < 0, value > 0, max(value, 0.0))
        for sample, values in enumerate(spectra)
        for rank, value in enumerate(values)
    ]
    keys = ["sample", "images", "l2", "rank"]
    table = pd.DataFrame(rows, columns=[*keys, *PROBES["hessian"].values])
    mean, everything = SampleTable(table, PROBES["hessian"]).mean(), np.ravel(spectra)
    assert nep(mean) == pytest.approx(np.mean(everything < 0))
    positive = everything[everything > 0]
    assert ape(mean) == pytest.approx(positive.mean()) if len(positive) else math.isnan(ape(mean))


class Linear(nn.Linear):
    """Logistic regression, whose Hessian is that of the softmax: (diag p - p p^T) ⊗ x x^T."""

    def __init__(self, features=5):
        super().__init__(features, CLASSES, bias=False)
        self.unused = nn.Parameter(torch.ones(3))
        self.frozen = nn.Parameter(torch.ones(2), requires_grad=False)


def test_logistic_regression_in_closed_form():
    torch.manual_seed(0)
    model, x = Linear().double(), torch.randn(16, 5).double()
    p = model(x).softmax(1).detach()
    weight = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    matrix = torch.einsum("icd,if,ig->cfdg", weight, x, x).reshape(20, 20) / 16
    table = hessian(model, [(x, torch.randint(CLASSES, (16,)))], weight_decay=0.0)
    np.testing.assert_allclose(table.eigenvalue, leading(np.linalg.eigvalsh(matrix)), rtol=1e-5)


def test_the_weight_decay_of_the_paper_is_added_to_every_eigenvalue():
    torch.manual_seed(0)
    data = [(torch.randn(16, 5), torch.randint(CLASSES, (16,)))]
    model = Linear().double()
    for convention, tolerance in (("lanczos", 1e-6), ("official", 1e-9)):
        without, both = (
            hessian(model, data, weight_decay=decay, convention=convention, tolerance=tolerance)
            for decay in (0.0, 0.05)
        )
        plain = both[both.l2].eigenvalue.to_numpy()
        np.testing.assert_allclose(plain - without.eigenvalue.to_numpy(), 0.05, rtol=1e-3)


def test_mini_batches_of_different_size_and_those_that_do_not_fit(monkeypatch):
    torch.manual_seed(0)
    model = Linear().double()
    data = [(torch.randn(size, 5).double(), torch.randint(CLASSES, (size,))) for size in (16, 16, 16, 7)]
    plain = hessian(model, data, weight_decay=0.0)
    assert plain["sample"].tolist() == [index for index in range(4) for _ in range(5)]
    assert plain.groupby("sample").images.first().tolist() == [16, 16, 16, 7]

    def cramped(model, inputs, targets):
        if len(inputs) > 1:
            raise torch.OutOfMemoryError
        return hessian_products(model, inputs, targets)

    monkeypatch.setattr("harness.curvature.hvp.hessian_products", cramped)
    with pytest.warns(UserWarning, match="do not fit"):
        table = hessian(model, data, weight_decay=0.0, at_once=4)
    np.testing.assert_allclose(table.drop(columns="l2"), plain.drop(columns="l2"), rtol=1e-9)


def test_faults_are_named():
    model, data = Linear(), [(torch.randn(4, 5), torch.randint(CLASSES, (4,)))]
    with pytest.raises(HarnessError, match="did you mean 'lanczos'"):
        hessian(model, data, convention="lancsoz")
    with pytest.raises(HarnessError, match="not finite"):
        hessian(model, [(torch.full((4, 5), math.nan), data[0][1])])
    with pytest.raises(HarnessError, match="requires a gradient"):
        hessian(model.requires_grad_(False), data)
    with pytest.warns(UserWarning, match="after 2 products"):
        hessian(Linear().double(), [(torch.randn(16, 5), data[0][1].repeat(4))], limit=2, top=2)


def test_precision_settings_come_back():
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        with full_precision():
            assert not torch.backends.cuda.matmul.allow_tf32
        assert torch.backends.cuda.matmul.allow_tf32
    finally:
        torch.backends.cuda.matmul.allow_tf32 = False


def test_the_network_is_left_as_it_was(network):
    model, inputs, targets = network
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    hessian(model, batches(inputs, targets)[:1])
    assert not model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
