"""The judge errs as seldom as it says, on made-up reproductions whose truth is known; a benchmark does it at length."""

from __future__ import annotations

import pytest

from harness.tests.calibration import calibrate, power

CASES = 600
NOISE = 0.019  # three standard deviations of a share of 2.5 % in so many cases


@pytest.mark.parametrize("seeds", ["normal", "skewed", "normal, Welch", "skewed, paired"])
@pytest.mark.parametrize("effects", [1, 3])
def test_false_verdicts_are_rare(seeds, effects):
    reproduced, contradicted = calibrate((3, 5, 8, 13), seeds, effects, cases=CASES)
    assert reproduced <= 0.03 + NOISE
    assert contradicted <= 0.03 + NOISE


@pytest.mark.parametrize(("size", "least", "seeds"), [(2.0, 0.99, 6.0), (3.0, 0.99, 4.7)])
def test_effects_are_found_with_so_many_seeds(size, least, seeds):
    found, taken = power(size, (3, 5, 8, 13), cases=CASES)
    assert found >= least
    assert taken == pytest.approx(seeds, abs=0.3)
