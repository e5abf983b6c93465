"""The worker of the demonstration: all roles, and it ends when its standard input does, however its parent died."""

import os
import signal
import sys
import threading

from streams.settings import load_settings
from streams.worker import run_worker


def _end_with_stdin() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Run until told to stop."""
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    run_worker(load_settings())


if __name__ == "__main__":
    main()
