"""What every listed network can do: train, curvature, functional_call, bf16; and what anatomy says of it."""

import copy

import pytest
import torch
from networks import CLASSES, DISTINCT, small
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import cross_entropy

from models import anatomy


@pytest.fixture(autouse=True)
def math_attention():
    """Fused attention has no second derivative."""
    with sdpa_kernel(SDPBackend.MATH):
        yield


@pytest.mark.parametrize("name", DISTINCT)
def test_second_derivative_is_that_of_the_first(name):
    """Hessian-vector product by double backward against a finite difference of gradients, float64."""
    model, image = small(name)
    model, image, labels = model.double(), image.double(), torch.arange(3) % CLASSES
    parameters = list(model.parameters())
    torch.manual_seed(1)
    direction = [torch.randn_like(parameter) for parameter in parameters]
    length = sum(d.square().sum() for d in direction).sqrt()
    direction = [d / length for d in direction]

    def gradient(create_graph=False):
        return torch.autograd.grad(cross_entropy(model(image), labels), parameters, create_graph=create_graph)

    inner = sum((g * d).sum() for g, d in zip(gradient(create_graph=True), direction, strict=True))
    product = torch.autograd.grad(inner, parameters)
    step, ends = 1e-5, []
    for sign in (1, -1):
        with torch.no_grad():
            for parameter, d in zip(parameters, direction, strict=True):
                parameter.add_(d, alpha=sign * step)
        ends.append(gradient())
        with torch.no_grad():
            for parameter, d in zip(parameters, direction, strict=True):
                parameter.sub_(d, alpha=sign * step)
    difference = torch.cat([((up - down) / (2 * step)).flatten() for up, down in zip(*ends, strict=True)])
    product = torch.cat([p.flatten() for p in product])
    assert product.norm() > 0
    assert (product - difference).norm() / product.norm() < 1e-4


@pytest.mark.parametrize("name", DISTINCT)
def test_functional_call_uses_the_parameters_it_is_given(name):
    model, image = small(name)
    other = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(1.1)
        expected = other(image)
        model(image)  # nothing of an earlier pass may be kept
        found = functional_call(model, dict(other.named_parameters()), (image,))
    torch.testing.assert_close(found, expected)
    assert not torch.equal(found, model(image))


@pytest.mark.parametrize("name", DISTINCT)
def test_bf16_autocast_stays_near_full_precision(name):
    model, image = small(name)
    with torch.no_grad():
        full = model(image)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = model(image)
    assert half.shape == (3, CLASSES)
    assert (half.float() - full).norm() / full.norm() < 0.2


@pytest.mark.parametrize("name", DISTINCT)
def test_anatomy_covers_all_parameters_and_reads_without_a_trace(name):
    model, image = small(name)
    parts, seen = anatomy(model), []
    owners = {parts.owner(parameter).index for parameter, _ in model.named_parameters()}
    assert owners >= {unit.index for unit in parts.units if unit.kind != "pool"}
    with torch.no_grad():
        before = model(image)
        with parts.reading(lambda unit, fmap: seen.append((unit.index, tuple(fmap.shape)))):
            after = model(image)
    assert torch.equal(before, after)
    assert seen == [(unit.index, (3, *unit.shape)) for unit in parts.units[:-1]]


def between(name, before, unit):
    """Whether something of no unit's lies between two: projections, and positions by convolution (Twins, CoaT)."""
    return before.stage < unit.stage or (name.startswith(("twins", "coat")) and unit.kind == "msa")


@pytest.mark.parametrize("name", DISTINCT)
def test_a_lesioned_branch_leaves_what_came_before(name):
    """With its branch gone, a unit whose skip is the identity hands on the map before it."""
    model, image = small(name)
    parts, maps, same = anatomy(model), {}, 0
    with torch.no_grad(), parts.reading(lambda unit, fmap: maps.update({unit.index: fmap.clone()})):
        healthy = model(image)
        for before, unit in zip(parts.units[:-2], parts.units[1:-1], strict=True):
            if not parts.has_branch(unit):
                continue
            with parts.lesion(unit):
                assert not torch.equal(model(image), healthy)
            if before.shape == unit.shape:
                same += torch.equal(maps[unit.index], maps[before.index])
                assert torch.equal(maps[unit.index], maps[before.index]) or between(name, before, unit)
        assert torch.equal(model(image), healthy)
    assert same or "vgg" in name or name == "alexnet"
