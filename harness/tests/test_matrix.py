from __future__ import annotations

import re
import sys

import pytest

from harness import report
from harness.__main__ import main
from harness.errors import HarnessError
from harness.judging.evidence import write_evidence
from harness.tests import report_fixtures as made
from harness.tests.test_report import Page


@pytest.fixture
def sets(tmp_path):
    """One with all that the fixtures have, one where F3 alone was judged, and came out otherwise."""
    claims = made.catalogue(tmp_path)
    whole, other = made.results_folder(tmp_path, claims, probes=()), tmp_path / "other"
    changes = {"part": "Swin", "verdict": "reproduced"} if claims["F3"].rules[0].part else {"verdict": "reproduced"}
    write_evidence(other, "x", made.evidence(claims, "F3", [made.effect("e", 1.0, 0.5)], **changes))
    return claims, whole, other


def test_every_judged_claim_has_a_row_and_every_set_a_column(sets, tmp_path):
    claims, whole, other = sets
    page = report.side_by_side(tmp_path / "page", [whole, other], claims).read_text()
    parsed = Page(page)
    assert parsed.fetched == []
    rows = re.findall(r'<span class="id">([^<]+)</span>.*?</tr>', page, re.S)
    assert rows[0].startswith("F2")
    links = [link for link in parsed.links if "#" in link]
    for folder in (whole, other):
        built = Page(report.build(folder, claims).read_text())
        mine = [link.rpartition("#")[2] for link in links if f"/{folder.name}/" in link]
        assert mine
        assert set(mine) <= set(built.ids)
    table = (tmp_path / "page" / "verdicts.md").read_text().splitlines()
    assert table[0] == f"| claim | [{whole.name}](../{whole.name}/summary.md) | [other](../other/summary.md) |"
    (swin,) = (line for line in table if "| F3 Swin:" in line)
    assert swin.split("|")[3].strip() == "✓"
    (f2,) = (line for line in table if line.startswith("| F2"))
    assert f2.split("|")[3].strip() == "–"


def test_the_command_makes_it_of_several_folders(sets, tmp_path, monkeypatch, capsys):
    claims, whole, other = sets
    monkeypatch.setattr("harness.commands.results.catalogue", lambda: claims)
    monkeypatch.setattr(sys, "argv", ["harness", "report", str(whole), str(other), "--to", str(tmp_path)])
    main()
    assert capsys.readouterr().out.splitlines()[-1] == f"all of them: {tmp_path / 'verdicts.html'}"
    assert (other / "report.html").is_file()
    assert (tmp_path / "verdicts.md").is_file()


def test_two_folders_of_one_name_are_refused(sets, tmp_path):
    claims, whole, _ = sets
    with pytest.raises(HarnessError, match="have names of their own; found"):
        report.side_by_side(tmp_path, [whole, whole], claims)
