"""One optimisation step: the optimiser, and the backward pass of a batch, in pieces if memory demands it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from harness.errors import HarnessError
from harness.plan.recipe import Recipe

MOMENTUM = 0.9


def make_optimizer(recipe: Recipe, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """AdamW or SGD with momentum over all parameters; its learning rate is set before every step."""
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(parameters, lr=0.0, weight_decay=recipe.weight_decay, fused=True)
    return torch.optim.SGD(parameters, lr=0.0, momentum=MOMENTUM, weight_decay=recipe.weight_decay, fused=True)


class Backward:
    """Leaves the gradient of the mean cross-entropy of a batch in the parameters.

    When the GPU's memory runs out, the batch is cut into twice as many pieces, from then on: the gradient stays that of
    the whole batch, except that BatchNorm takes its statistics over a piece.

    Args:
        model: in training mode; its gradients are empty before each call.
        precision: "bf16" runs the forward pass under autocast; the loss is in float32 in any case.
        say: takes the line that tells of a cut.
        forward: called for a whole batch instead of the model, e.g. the model compiled; given up when it first fails.
    """

    def __init__(
        self,
        model: nn.Module,
        precision: str,
        say: Callable[[str], None],
        forward: Callable[[Tensor], Tensor] | None = None,
    ):
        self.model, self.precision, self.say = model, precision, say
        self.forward = forward or model
        self.pieces = 1

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Forward and backward.

        Args:
            inputs: [batch, channel, height, width].
            targets: [batch, class], probabilities.

        Returns:
            The loss, and how many images have their largest logit where their largest target is; both on the device.

        Raises:
            HarnessError: not even one image at a time fits.
        """
        while True:
            try:
                return self._in_pieces(inputs, targets)
            except torch.OutOfMemoryError:
                fits = self.pieces < len(inputs)
            except Exception as error:  # a compiler fails in many ways; what is the model's own fault comes again
                if self.forward is self.model:
                    raise
                self.forward = self.model
                self.model.zero_grad(set_to_none=True)
                reason = (str(error).strip() or "no reason given").splitlines()[0]
                self.say(f"torch.compile failed ({type(error).__name__}: {reason}); training goes on without, slower")
                continue
            # Behind the except: as long as the exception lives, so does what the failed pass had allocated.
            self.forward = self.model
            self.model.zero_grad(set_to_none=True)
            if not fits:
                raise HarnessError("out of GPU memory with a single image; use a smaller network or another GPU")
            self.pieces = min(2 * self.pieces, len(inputs))
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            self.say(
                f"out of GPU memory: batches of {len(inputs)} go in {self.pieces} pieces from here on, with the same "
                "gradient (BatchNorm sees a piece at a time); a smaller recipe.batch_size would avoid it"
            )

    def _in_pieces(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        size = -(-len(inputs) // self.pieces)
        loss = torch.zeros((), device=inputs.device)
        hits = torch.zeros((), dtype=torch.int64, device=inputs.device)
        for part, target in zip(inputs.split(size), targets.split(size), strict=True):
            with torch.autocast(inputs.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
                logits = self.forward(part)
            share = cross_entropy(logits.float(), target) * (len(part) / len(inputs))
            share.backward()
            loss += share.detach()
            hits += (logits.detach().argmax(1) == target.argmax(1)).sum()
        return loss, hits
