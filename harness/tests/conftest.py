from __future__ import annotations

import pytest
from hypothesis import settings

from harness.data import load_dataset
from harness.plan.recipe import Recipe
from harness.plan.run import ModelSpec, Run
from harness.store import Store

settings.register_profile("no deadline", deadline=None)  # a busy machine is no failure
settings.load_profile("no deadline")


@pytest.fixture(scope="session")
def data_store(tmp_path_factory):
    """A store that holds nothing but data sets."""
    return Store(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def digits(data_store):
    return load_dataset("digits", data_store)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def make_run(digits):
    def make(model="vit_micro", seed=0, train_images=96, **recipe):
        plain = {"epochs": 2, "warmup_epochs": 1, "batch_size": 32, "learning_rate": 3e-3, "crop_padding": 1}
        weak = {"rand_augment": "none", "mixup": 0.0, "cutmix": 0.0}
        return Run(
            model=ModelSpec(name=model),
            dataset="digits",
            fingerprint=digits.fingerprint,
            train_images=train_images,
            recipe=Recipe(**{**plain, **weak, **recipe}),
            seed=seed,
        )

    return make
