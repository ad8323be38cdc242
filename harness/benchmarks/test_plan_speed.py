"""What planning costs as the plan grows, and as the store grows that it looks into."""

from __future__ import annotations

import tracemalloc

import pytest

from harness.plan.case import expand
from harness.plan.plan import make_plan
from harness.plan.profile import load_profile
from harness.store import Store

PROBES = ["prediction", "fourier", "variance", "lesion", "hessian"]
FINGERPRINTS = {"cifar10": "of no data"}
SEEDS = 10  # of the case that is planned in a large store


def case_of(seeds):
    """All networks of mini under five probes, with so many seeds."""
    profile = load_profile("mini").model_copy(update={"looks": (seeds,)})
    (case,), _ = expand("F2", None, list(profile.roles), PROBES, profile)
    return case


def measurements(plan):
    return sum(len(item.requests) for item in plan.items)


@pytest.mark.benchmark(group="a plan")
@pytest.mark.parametrize("wanted", [1_000, 10_000], ids="{:,} measurements".format)
def test_plan(benchmark, tmp_path, wanted):
    case = case_of(wanted // len(PROBES) // len(load_profile("mini").roles) + 1)
    plan = benchmark.pedantic(make_plan, ([case], FINGERPRINTS, Store(tmp_path)), rounds=3)
    benchmark.extra_info["measurements"] = measurements(plan)


@pytest.mark.slow
@pytest.mark.benchmark(group="a plan of what is stored, in a store of so much")
@pytest.mark.parametrize("artifacts", [1_000, 10_000], ids="{:,} artifacts".format)
def test_store(benchmark, tmp_path, monkeypatch, artifacts):
    """The first seeds' measurements are wanted and there; all others are what a store gathers over time."""
    monkeypatch.setattr("harness.store.store.flush_to_disk", lambda _: None)
    store, every = Store(tmp_path), case_of(artifacts // (1 + len(PROBES)) // len(load_profile("mini").roles) + 1)
    for run, requests in every.runs(FINGERPRINTS["cifar10"]):
        told = {"run": run.model_dump(mode="json"), "images_per_second": 300.0}
        store.write(run.checkpoint_key, {"weights": bytes(1000)}, told)
        for request in requests:
            told = {"request": request.model_dump(mode="json"), "seconds": 1.0}
            store.write(request.key(run.run_id), {"table.parquet": bytes(1000)}, told)

    case = case_of(SEEDS)
    plan = benchmark.pedantic(lambda: make_plan([case], FINGERPRINTS, Store(tmp_path)), rounds=3)
    assert not plan.jobs
    tracemalloc.start()
    make_plan([case], FINGERPRINTS, Store(tmp_path))
    benchmark.extra_info |= {
        "measurements": measurements(plan),
        "stored": sum(1 for _ in tmp_path.glob("*/*/*")),
        "MB at most": tracemalloc.get_traced_memory()[1] / 1e6,
    }
    tracemalloc.stop()
