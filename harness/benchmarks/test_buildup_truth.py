"""Where the build-up rules lead, beside the truth: every placement of up to three MSAs, trained.

    pytest harness/benchmarks/test_buildup_truth.py -m slow --benchmark-only -s

Prints a row a placement, the best first. What `buildup` has trained in the same `--store` is not trained again.
"""

from __future__ import annotations

from itertools import product

import pytest

from harness.buildup.bench import Bench
from harness.buildup.command import Engine, Wish, build_up_network
from harness.buildup.record import shown
from harness.data import load_dataset
from harness.engine.stop import Stop
from harness.options import open_session
from harness.plan.run import ModelSpec
from harness.store.provenance import cores

MOST = 3  # MSAs


@pytest.mark.slow
def test_rules_against_all_placements(benchmark, request, tmp_path):
    session = open_session(request.config)
    profile, options, store = session.profile, session.options, session.store
    data = load_dataset("digits", store)
    model = ModelSpec(name="preact_resnet_micro")
    wish = Wish(model, profile, "digits", MOST, tmp_path, options.store, None, options.device, cores())

    def rank():
        record = build_up_network(wish, Stop())
        images = record.trained, record.held_out
        bench = Bench(model, record.msas, "digits", data.fingerprint, *images, profile, store, Engine(wish, Stop()))
        seeds = profile.looks[-1]
        places = [place for place in product(*(range(room + 1) for room in record.room)) if sum(place) <= MOST]
        held_out = {place: bench.accuracy(bench.altered(place), seeds) for place in places}
        for place in sorted(held_out, key=held_out.__getitem__, reverse=True):
            here = "  <- the rules" if place == record.final else ""
            print(f"{shown(place)} {held_out[place]:8.2%} over {seeds} seeds{here}")
        better = sum(accuracy > held_out[record.final] for accuracy in held_out.values())
        behind = max(held_out.values()) - held_out[record.final]
        benchmark.extra_info.update(placements=len(places), better=better, behind_the_best_pp=100 * behind)

    benchmark.pedantic(rank, rounds=1)
