"""Exact Hessian-vector products of the training loss, several mini-batches at once.

For mini-batch b with inputs x, soft targets t and trainable parameters w in R^n, in evaluation mode:

    L_b(w) = - mean over images of sum_c t_c log softmax(f_w(x))_c,      H_b = d²L_b / dw²

Each mini-batch gets its own copy w_b of the parameters, so the sum of the losses has a block diagonal Hessian, and one
backward pass through the graph of its gradient g,

    d<g, v> / dw = (H_1 v_1, ..., H_B v_B),

is the product of every mini-batch with its own vector (reverse over reverse: Pearlmutter, Neural Computation 1994). The
graph is built once and serves all products. Forward mode over `vmap` would be as exact at the same number of matrix
products, but repeats the first derivative each time; `torch.func.hessian`, `jvp(jacrev(f))` and `grad(jvp)` are wrong
through LayerNorm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import cross_entropy

from harness.curvature.folded import Folded
from harness.errors import HarnessError

Product = Callable[[Tensor], Tensor]


@contextmanager
def full_precision() -> Iterator[None]:
    """No TF32 and no autocast inside: curvature is measured in the precision of the parameters."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = False
    try:
        with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
            yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


def hessian_products(model: nn.Module, inputs: Tensor, targets: Tensor) -> tuple[Product, Tensor]:
    """Multiplication with the Hessians of the mean cross-entropy of several mini-batches.

    Args:
        model: in evaluation mode; takes [image, ...], gives logits [image, class]. Only parameters with
            `requires_grad` count, in the order of `named_parameters`. More than one mini-batch needs a model that
            `torch.func.vmap` can follow.
        inputs: [mini-batch, image, ...].
        targets: float [mini-batch, image, class], or class numbers [mini-batch, image].

    Returns:
        A function from [mini-batch, n] to [mini-batch, n], and the gradients [mini-batch, n].

    Raises:
        HarnessError: nothing is trainable, or a gradient is not finite.
    """
    trainable = {name: leaf.detach() for name, leaf in model.named_parameters() if leaf.requires_grad}
    if not trainable:
        raise HarnessError("a Hessian needs parameters; none of the model's requires a gradient")
    names, leaves = list(trainable), list(trainable.values())
    count, sizes = len(inputs), [leaf.numel() for leaf in leaves]
    many = (count,) if count > 1 else ()  # a single mini-batch has no dimension of its own: any torch model will do
    copies = [leaf.expand(*many, *leaf.shape).clone().requires_grad_() for leaf in leaves]

    def loss(inputs: Tensor, targets: Tensor, *parameters: Tensor) -> Tensor:
        logits = functional_call(model, dict(zip(names, parameters, strict=True)), (inputs,))
        return cross_entropy(logits, targets)

    inputs = inputs.to(leaves[0])
    targets = targets.to(leaves[0]) if targets.is_floating_point() else targets.to(inputs.device)
    # Fused attention has no second derivative.
    with sdpa_kernel(SDPBackend.MATH), Folded():
        total = vmap(loss)(inputs, targets, *copies).sum() if many else loss(inputs[0], targets[0], *copies)
    parts = torch.autograd.grad(total, copies, create_graph=True, materialize_grads=True)
    differentiable = [index for index, part in enumerate(parts) if part.requires_grad]

    def flat(parts: tuple[Tensor, ...]) -> Tensor:
        return torch.cat([part.detach().reshape(count, -1) for part in parts], dim=1)

    def product(vectors: Tensor) -> Tensor:
        pieces = vectors.split(sizes, dim=1)
        return flat(
            torch.autograd.grad(
                [parts[index] for index in differentiable],
                copies,
                [pieces[index].reshape(copies[index].shape) for index in differentiable],
                retain_graph=True,
                materialize_grads=True,
            )
        )

    gradients = flat(parts)
    if not gradients.isfinite().all():
        raise HarnessError("the gradient of the loss is not finite here; there is no Hessian to speak of")
    return product, gradients
