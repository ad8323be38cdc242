"""`harness.plots`: what a probe returned, drawn in one line."""

from __future__ import annotations

import re

import pandas as pd
import pytest
import torch
from matplotlib.colors import to_hex
from torch.nn.functional import one_hot

import harness.probes as probes
from harness import plots
from harness.errors import HarnessError
from harness.probes.kinds import PROBES
from harness.report.figures.style import VARIABLES
from models import create_model


@pytest.fixture(scope="module")
def tables():
    """What every probe returns of a tiny network, with its defaults as far as they are quick."""
    torch.manual_seed(0)
    model = create_model("vit_micro", num_classes=4, image_size=8).eval()
    images, labels = torch.randn(16, 3, 8, 8), torch.arange(16) % 4
    batches, soft = [(images, labels)], [(images, one_hot(labels, 4).float())]
    few = {
        "corruption": {"mean": (0.5,) * 3, "std": (0.2,) * 3, "corruptions": ("fog", "contrast")},
        "landscape": {"points": 3, "directions": 1},
        "similarity": {"minibatch": 4},
        "throughput": {"repetitions": 2},
    }
    return {
        name: getattr(probes, name)(model, soft if kind.split == "train" else batches, **few.get(name, {}))
        for name, kind in PROBES.items()
    }


@pytest.mark.parametrize("probe", sorted(PROBES))
def test_a_probes_table_is_known_and_drawn(tables, probe):
    assert plots.probe_of(tables[probe]) == probe
    plot = plots.draw({"one": tables[probe], "other": tables[probe]})
    assert plot.figures
    shown = plot._repr_html_()
    assert shown.count("<svg") == len(plot.figures)
    assert set(re.findall(r"var\((--[\w-]+)\)", shown)) <= set(plots.colours())


def test_colours_are_those_of_the_report_and_differ_between_networks(tables):
    plot = plots.draw({"one": tables["noise"], "other": tables["noise"]})
    (figure,) = plot.figures
    lines = [to_hex(line.get_color()) for line in figure.axes[0].lines]
    assert lines == [plots.colours()["--vit"], plots.colours()["--resnet"]]
    everything = {to_hex(each.get_color()) for each in figure.findobj(lambda artist: hasattr(artist, "get_color"))}
    assert not everything & {placeholder.lower() for placeholder in VARIABLES}


def test_a_table_of_a_results_folder_keeps_its_networks(tables):
    two = [plots.told_of(tables["variance"], name, PROBES["variance"], "a model") for name in ("resnet", "vit")]
    panels = plots.draw(pd.concat(two)).drawings[0].panels
    assert [panel.title for panel in panels] == ["resnet: a model", "vit: a model"]


def test_panels_are_saved_each_in_a_file(tables, tmp_path):
    plot = plots.draw(tables["fourier"])
    files = plot.save(tmp_path / "spectra.png")
    assert [file.name for file in files] == ["spectra-1.png", "spectra-2.png"]
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in files)
    (alone,) = plots.draw(tables["noise"]).save(tmp_path / "noise.svg")
    text = alone.read_text()
    assert "frequency" in text
    assert not any(placeholder in text for placeholder in VARIABLES)
    with pytest.raises(HarnessError, match=r"cannot save .*spectra-1\.xyz"):
        plot.save(tmp_path / "spectra.xyz")


def test_what_cannot_be_drawn_is_said(tables):
    with pytest.raises(HarnessError, match="expected what a probe returned .*found the columns a"):
        plots.draw(pd.DataFrame({"a": [1]}))
    with pytest.raises(HarnessError, match="tables of one probe .*one of noise, other of fourier"):
        plots.draw({"one": tables["noise"], "other": tables["fourier"]})
    with pytest.raises(HarnessError, match="nothing to draw"):
        plots.draw({})
