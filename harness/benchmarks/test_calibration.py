"""How often the judge errs: reproductions with a known truth through all of it. Prints a row a cell.

    pytest harness/benchmarks/test_calibration.py -m slow --benchmark-only -s

False `reproduced`: one effect lies at its null, all others far above. False `contradicted`: every effect is as the
claim says, by the smallest margin there is: none. A cell is bad where either exceeds 3 %.
"""

from __future__ import annotations

from itertools import product

import pytest

from harness.tests.calibration import COUNTS, LOOKS, SEEDS, calibrate, power

CASES = 10_000


@pytest.mark.slow
def test_errors(benchmark):
    cells = list(product(LOOKS, SEEDS, COUNTS))
    rows = benchmark.pedantic(lambda: [(cell, *calibrate(*cell, cases=CASES)) for cell in cells], rounds=1)
    print(f"\n{'looks':<16}{'seeds':<24}{'effects':>8}{'false reproduced':>18}{'false contradicted':>20}")
    for (looks, seeds, effects), reproduced, contradicted in rows:
        print(
            f"{', '.join(map(str, looks)):<16}{seeds:<24}{effects:>8}{100 * reproduced:>16.2f} %"
            f"{100 * contradicted:>18.2f} %"
        )


@pytest.mark.slow
def test_power(benchmark):
    sizes = (1.0, 1.5, 2.0, 3.0)
    rows = benchmark.pedantic(lambda: [(size, *power(size, (3, 5, 8, 13), cases=CASES)) for size in sizes], rounds=1)
    print(f"\n{'effect (deviations)':<22}{'reproduced':>12}{'seeds on average':>18}")
    for size, found, seeds in rows:
        print(f"{size:<22}{100 * found:>10.1f} %{seeds:>18.2f}")
