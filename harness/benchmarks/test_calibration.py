"""How often the judge errs: reproductions with a known truth through all of it. Prints a row a cell, as it is done.

    pytest harness/benchmarks/test_calibration.py -m slow --benchmark-only -s

False `reproduced`: one effect lies at its null, all others far above. False `contradicted`: every effect is as the
claim says, by the smallest margin there is: none. A cell is bad where either exceeds 3 %.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product

import pytest

from harness.store.provenance import cores
from harness.tests.calibration import COUNTS, LOOKS, SEEDS, calibrate, power

CASES = 10_000
SIZES = (1.0, 1.5, 2.0, 3.0)


def show(title, function, *arguments, line):
    """A line for each set of arguments, computed on all cores."""
    print(f"\n{title}", flush=True)
    with ProcessPoolExecutor(cores()) as pool:
        found = pool.map(partial(function, cases=CASES), *zip(*arguments, strict=True))
        for given, results in zip(arguments, found, strict=True):
            print(line(*given, *results), flush=True)


@pytest.mark.slow
def test_errors(benchmark):
    def line(looks, seeds, effects, reproduced, contradicted):
        shares = f"{100 * reproduced:>16.2f} %{100 * contradicted:>18.2f} %"
        return f"{', '.join(map(str, looks)):<16}{seeds:<24}{effects:>8}{shares}"

    title = f"{'looks':<16}{'seeds':<24}{'effects':>8}{'false reproduced':>18}{'false contradicted':>20}"
    benchmark.pedantic(show, (title, calibrate, *product(LOOKS, SEEDS, COUNTS)), {"line": line}, rounds=1)


@pytest.mark.slow
def test_power(benchmark):
    def line(size, _, found, seeds):
        return f"{size:<22}{100 * found:>10.1f} %{seeds:>18.2f}"

    title = f"{'effect (deviations)':<22}{'reproduced':>12}{'seeds on average':>18}"
    benchmark.pedantic(show, (title, power, *((size, (3, 5, 8, 13)) for size in SIZES)), {"line": line}, rounds=1)
