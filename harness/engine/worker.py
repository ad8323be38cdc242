"""A worker process: jobs come in on standard input, a JSON line each; what happens goes out the same way.

It stops at the next step when standard input closes, which it does even if the parent is killed, or on SIGTERM.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from harness.engine.execute import execute
from harness.engine.settings import prepare
from harness.errors import HarnessError
from harness.plan.job import Job
from harness.store import Interrupted, Store


def main() -> None:
    settings = json.loads(sys.argv[1])
    # Libraries print to standard output at will; the parent's channel is kept apart from it.
    channel = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)

    def send(event: dict[str, Any]) -> None:
        try:
            channel.write(json.dumps(event) + "\n")
        except OSError:  # the parent is gone; closing input says so as well
            stop.set()

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    jobs: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def listen() -> None:
        for line in sys.stdin:
            jobs.put(line)
        stop.set()
        jobs.put(None)

    threading.Thread(target=listen, daemon=True).start()

    device = prepare(settings["device"])
    store = Store(Path(settings["store"]), notify=lambda line: send({"say": line}))
    root = Path(settings["root"]) if settings["root"] else None
    while (line := jobs.get()) is not None and not stop.is_set():
        job = Job.from_plain(json.loads(line))
        try:
            execute(job, store=store, device=device, root=root, report=send, should_stop=stop.is_set)
            send({"done": True})
        except Interrupted:
            send({"stopped": True})
        except HarnessError as error:
            send({"failed": str(error)})
        except Exception as error:  # a bug or a fault of the machine: this job's, not the whole session's
            traceback.print_exc()
            send({"failed": f"{job.run}: {type(error).__name__}: {str(error) or 'no message'}"})


if __name__ == "__main__":
    main()
