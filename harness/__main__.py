"""`python -m harness`: what needs no test session. `report` rebuilds a report from its evidence, anywhere, without
torch, and `summary` prints it in a page of Markdown; `judge` draws its verdicts again; `compare` puts two result sets
side by side; `models` lists networks; `train` trains one run, under torchrun on several GPUs; `buildup` builds MSAs
into a CNN; `store` says what a store holds and removes what nothing wants; `doctor` what this machine has and lacks.
"""

from __future__ import annotations

import argparse
import sys

from harness.commands import doctor, examine, models, results, store, training
from harness.errors import HarnessError, Stopped
from models.errors import ModelError


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m harness", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for each in (results, examine, models, training, store, doctor):
        each.add(commands)
    arguments = parser.parse_args()
    try:
        arguments.run(arguments)
    except Stopped as stopped:
        sys.exit(str(stopped))
    except (HarnessError, ModelError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
