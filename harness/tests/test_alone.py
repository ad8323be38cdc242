"""`python -m harness train` in this process; `test_main` starts it as a person does, `test_group` under torchrun."""

from __future__ import annotations

import pytest

from harness.__main__ import main
from harness.tests.sessions import PROFILE


@pytest.fixture
def train(tmp_path):
    """`python -m harness train` with these options."""
    profile = tmp_path / "tiny.toml"
    profile.write_text(PROFILE.replace('["digits"]', '["digits", "cifar10"]'))

    def run(**options):
        given = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.argv", ["harness", "train", "--profile", str(profile), "--role", "vit", *given])
            main()

    return run


def test_the_environment_names_the_store_and_an_option_goes_before_it(train, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("REPRO_STORE", str(tmp_path / "usual"))
    train()
    (kept,) = tmp_path.glob("usual/runs/*/final")
    *_, done, accuracy = capsys.readouterr().out.splitlines()
    assert done == "[1/1] vit_micro(depth=1) on digits, seed 0: done"
    assert accuracy.startswith("vit_micro(depth=1) on digits, seed 0: ")
    train()
    assert capsys.readouterr().out.splitlines() == [
        f"vit_micro(depth=1) on digits, seed 0: trained already, {kept}",
        accuracy,
    ]
    train(store=tmp_path / "given")
    assert list(tmp_path.glob("given/runs/*/final"))


def test_the_environment_names_the_data(train, tmp_path, monkeypatch):
    monkeypatch.setenv("REPRO_DATA", str(tmp_path / "nothing"))
    with pytest.raises(SystemExit, match=f"below {tmp_path / 'nothing' / 'cifar10'}"):
        train(dataset="cifar10", store=tmp_path / "store")
