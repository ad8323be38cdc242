from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pandas as pd
import pytest

from harness.errors import HarnessError
from harness.store import Interrupted, Store
from harness.store.tables import read_parquet, to_parquet

KEY = "runs/0123456789abcdef/final"
FILES = {"weights.safetensors": bytes(range(256)) * 40, "curve.parquet": b"curve"}


@pytest.fixture
def told():
    return []


@pytest.fixture
def store(tmp_path, told):
    return Store(tmp_path / "store", notify=told.append)


def test_what_was_written_is_read(store):
    store.write(KEY, FILES, {"seconds": 1.5})
    artifact = store.read(KEY)
    assert artifact.meta == {"seconds": 1.5}
    assert {name: (artifact.path / name).read_bytes() for name in FILES} == FILES
    assert store.read("runs/other/final") is None


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
@pytest.mark.parametrize("damage", ["truncated", "flipped", "missing"])
def test_damage_is_noticed_named_and_set_aside(store, told, name, damage):
    path = store.write(KEY, FILES, {"seconds": 1.5}).path / name
    content = path.read_bytes()
    if damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        path.write_bytes(bytes([content[0]]) + bytes([content[1] ^ 1]) + content[2:])
    else:
        path.unlink()

    assert store.read(KEY) is None
    (line,) = told
    assert KEY in line
    assert "damaged" in line
    assert damage == "missing" or name in line
    assert len(list((store.root / "damaged").iterdir())) == 1
    assert store.read(KEY) is None  # set aside, so simply missing now
    assert len(told) == 1
    assert store.write(KEY, FILES, {}).path.is_dir()


def test_every_flipped_bit_of_the_manifest_is_noticed(store):
    path = store.write(KEY, {"a": b"a"}, {"n": 1}).path / "manifest.json"
    whole = path.read_bytes()
    for position in range(len(whole)):
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "a").write_bytes(b"a")
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 4]) + whole[position + 1 :])
        assert store.read(KEY) is None, whole[position : position + 1]


def test_the_first_of_two_writers_wins(store):
    store.write(KEY, FILES, {"by": "first"})
    assert store.write(KEY, FILES, {"by": "second"}).meta == {"by": "first"}
    assert store.read(KEY).meta == {"by": "first"}


def test_a_disk_that_refuses_is_one_line_and_leaves_nothing(store, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("harness.store.store.flush_to_disk", full)
    with pytest.raises(HarnessError, match="No space left on device.*--store"):
        store.write(KEY, FILES, {})
    assert store.read(KEY) is None
    assert list((store.root / "tmp").iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_read_only_is_one_line(tmp_path):
    (tmp_path / "store").mkdir(mode=0o555)
    with pytest.raises(HarnessError, match="Permission denied"):
        Store(tmp_path / "store").write(KEY, FILES, {})


def test_delete_and_sweep(store):
    store.write(KEY, FILES, {})
    store.delete(KEY)
    store.delete(KEY)
    assert store.read(KEY) is None
    left = store.root / "tmp" / "left-by-a-killed-process"
    left.mkdir(parents=True)
    store.sweep()
    assert left.is_dir()
    store.sweep(older_than_seconds=-1)
    assert not left.exists()


HOLD = """
import sys, time
from pathlib import Path
from harness.store import Store
with Store(Path(sys.argv[1])).lock("runs/x"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_keeps_another_process_out_until_its_holder_is_killed(store):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(store.root)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    waits = []
    with (
        pytest.raises(Interrupted),
        store.lock("runs/x", should_stop=lambda: bool(waits), waiting=lambda: waits.append(1)),
    ):
        pytest.fail("the lock was held by another process")
    assert waits == [1]

    threading.Timer(0.3, holder.kill).start()
    began = time.monotonic()
    with store.lock("runs/x"):
        assert time.monotonic() - began >= 0.2
    holder.wait()
    holder.stdout.close()


@pytest.mark.parametrize("rows", [0, 1, 5, 3000])
def test_a_table_comes_back_to_the_last_bit_and_in_its_types(tmp_path, rows):
    special = [0.1, -0.0, math.inf, math.nan, 5e-324, 0.0]
    many = np.random.default_rng(0).standard_normal(3000)
    table = pd.DataFrame(
        {
            "role": ["resnet", "vit", "", "ö", "x"] * 600,
            "seed": [0, 1, 2, 3, -4] * 600,
            "l2": [True, False, True, True, False] * 600,
            "number": np.random.default_rng(1).integers(-(2**63), 2**63, 3000, dtype=np.int64),
            "small": np.arange(3000, dtype=np.int32),
            "few": special * 500,
            "value": special + many[6:].tolist(),
            "single": np.array(special + many[6:].tolist(), np.float32),
        }
    ).iloc[:rows]
    path = tmp_path / "table.parquet"
    path.write_bytes(to_parquet(table))
    back = read_parquet(path)
    pd.testing.assert_frame_equal(back, table)
    for name in ("few", "value", "single"):
        assert back[name].to_numpy().tobytes() == table[name].to_numpy().tobytes()


def test_the_rows_of_a_table_cost_next_to_nothing_beside_what_was_measured():
    """10,000 images, each classified correctly or not: 1,250 bytes would hold that."""
    correct = np.random.default_rng(0).integers(0, 2, 10_000) * 1.0
    table = pd.DataFrame({"sample": range(10_000), "images": 1, "correct": correct})
    assert len(to_parquet(table)) < 5000
