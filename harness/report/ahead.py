"""Draw beforehand, on all cores, what a page needs and nobody has drawn yet: a panel takes tens of milliseconds.

Each process draws a share of it and keeps it where the page will look (`harness.report.drawn`). What one of them does
not come to, the page draws itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from harness.plan.catalogue import Catalogue, load_catalogue
from harness.report.drawn import Drawn
from harness.report.shown import Piece, pieces, shown
from harness.report.summary import Summary, summarise
from harness.report.tables import TableError
from harness.store.provenance import cores

WORTH_A_PROCESS = 20  # pieces; to begin takes a process as long as to draw so many


def draw_ahead(results: Path, summary: Summary, catalogue: Catalogue) -> None:
    """Draw what is missing, if it is worth a second process."""
    processes = min(cores(), len(missing(results, summary)) // WORTH_A_PROCESS)
    if processes < 2:
        return
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
    command = [sys.executable, "-P", "-m", __name__, str(results.absolute()), str(catalogue.path.absolute())]
    others = [
        subprocess.Popen([*command, str(share), str(processes)], env=environment, stderr=subprocess.DEVNULL)
        for share in range(1, processes)
    ]
    try:
        draw_share(results, summary, 0, processes)
        for other in others:
            other.wait()
    finally:
        for other in others:
            other.kill()


def missing(results: Path, summary: Summary) -> list[Piece]:
    """What is not kept yet."""
    drawn = Drawn(results)
    everything = (piece for section in summary.sections for case in section.cases for piece in pieces(section, case))
    return [piece for piece in everything if not kept(drawn, piece)]


def kept(drawn: Drawn, piece: Piece) -> bool:
    try:
        return drawn.path(piece.tables, piece.paper, piece.key).exists()
    except TableError:  # which the page will say
        return True


def draw_share(results: Path, summary: Summary, share: int, of: int) -> None:
    """Every `of`-th piece, from number `share` on, in the order that all of these processes have."""
    drawn = Drawn(results)
    everything = [piece for section in summary.sections for case in section.cases for piece in pieces(section, case)]
    for piece in everything[share::of]:
        shown(drawn, piece)


if __name__ == "__main__":
    place, claims, number, count = sys.argv[1:]
    draw_share(Path(place), summarise(Path(place), load_catalogue(Path(claims))), int(number), int(count))
