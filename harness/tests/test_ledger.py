from __future__ import annotations

import itertools
import math
import os
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import HarnessError
from harness.store import ledger as module
from harness.store.ledger import Ledger

NUMBERS = {"0/0": 0.1, "0/1": math.inf, "0/2": math.nan, "0/3": -5e-324, "1/0": 1.7976931348623157e308}


def bits(numbers):
    return {name: struct.pack("d", number) for name, number in numbers.items()}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledgers" / "probes" / "landscape"


@pytest.fixture
def full(path):
    ledger = Ledger(path, "a")
    for name, number in NUMBERS.items():
        ledger.add({name: number})
    return path


def test_what_was_added_is_read_bit_by_bit(full):
    assert bits(Ledger(full, "a").found) == bits(NUMBERS)


@given(st.dictionaries(st.text("0123456789/", min_size=1), st.floats(allow_nan=False)))
def test_any_float_comes_back(tmp_path_factory, numbers):
    path = tmp_path_factory.mktemp("any") / "ledger"
    Ledger(path, "a").add(numbers)
    assert bits(Ledger(path, "a").found) == bits(numbers)


def test_a_ledger_of_something_else_is_not_read(full):
    assert Ledger(full, "b").found == {}
    Ledger(full, "b").add({"0/0": 2.0})
    assert Ledger(full, "b").found == {"0/0": 2.0}
    assert bits(Ledger(full, "a").found) == bits(NUMBERS)


def test_cut_anywhere_every_whole_line_is_read_and_work_goes_on(full):
    content = full.read_bytes()
    names = list(NUMBERS)
    ends = [place + 1 for place, sign in enumerate(content) if sign == ord("\n")]
    for length in range(len(content) + 1):
        full.write_bytes(content[:length])
        ledger = Ledger(full, "a")
        assert list(ledger.found) == names[: sum(end <= length for end in ends)]
        ledger.add({name: number for name, number in NUMBERS.items() if name not in ledger.found})
        assert bits(Ledger(full, "a").found) == bits(NUMBERS)


def test_every_flipped_bit_costs_its_line_only(full):
    content = full.read_bytes()
    for place in range(len(content)):
        for bit in range(8):
            full.write_bytes(content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :])
            found = bits(Ledger(full, "a").found)
            # A newline that is none any more joins its line to the next.
            assert len(found) >= len(NUMBERS) - (2 if content[place] == ord("\n") else 1)
            assert found.items() <= bits(NUMBERS).items()
            assert len(found) < len(NUMBERS)


def test_the_disk_is_asked_at_most_once_a_second(path, monkeypatch):
    now, flushed = [100.0], []
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(module.os, "fsync", lambda file: flushed.append(now[0]))
    ledger = Ledger(path, "a")
    for number in range(40):
        now[0] += 0.25
        ledger.add({str(number): 1.0})
    assert len(flushed) == 8  # every fifth quarter
    assert min(after - before for before, after in itertools.pairwise(flushed)) > 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full disk at hand")
def test_a_full_disk_is_one_line(tmp_path):
    path = tmp_path / "ledger"
    path.symlink_to("/dev/full")
    ledger = Ledger.__new__(Ledger)  # its file can be read endlessly
    ledger.path, ledger.found, ledger._identity, ledger._torn, ledger._flushed = path, {}, "a", False, 0.0
    with pytest.raises(HarnessError, match="cannot write .*No space left"):
        ledger.add({"0": 1.0})
    assert ledger.found == {}


def test_a_file_that_cannot_be_read_is_one_line(tmp_path):
    with pytest.raises(HarnessError, match="cannot read"):
        Ledger(tmp_path, "a")
