"""The learning rate of every step: linear warm-up per step, then per epoch a cosine, or steps down at milestones.

As in the paper (A.1) and the official schedulers.
"""

from __future__ import annotations

import math

from harness.plan.recipe import Recipe

DECAY = 0.2  # at each milestone


def learning_rate(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """The rate of the step with this number, counted from 0 over the whole run.

    The first step has rate 0, as in the official code, and the last epoch's rate is above 0: the cosine would reach 0
    one epoch later.
    """
    warmup_steps = recipe.warmup_epochs * steps_per_epoch
    if step < warmup_steps:
        return recipe.learning_rate * step / warmup_steps
    epoch = (step - warmup_steps) // steps_per_epoch
    if recipe.milestones:
        return recipe.learning_rate * DECAY ** sum(epoch >= milestone for milestone in recipe.milestones)
    return recipe.learning_rate * (1 + math.cos(math.pi * epoch / recipe.epochs)) / 2
