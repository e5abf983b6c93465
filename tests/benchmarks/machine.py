"""This machine as the benchmarks see it: what it is, and what its processes have used."""

import os
import platform
import subprocess
from pathlib import Path
from typing import Any, Final

from schemas.instants import format_instant
from streams.wallclock import now_ms

ROOT: Final = Path(__file__).parents[2]
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


def here_and_now() -> dict[str, Any]:
    """When, where, of which commit; `+` behind a commit says that files were changed since."""
    return {
        "at": format_instant(now_ms()),
        "commit": commit(),
        "machine": {
            "cores": os.cpu_count(),
            "load_average": [round(load, 2) for load in os.getloadavg()],
            "processor": _processor(),
            "python": platform.python_version(),
        },
    }


def commit() -> str:
    """The commit of this checkout; empty outside of one."""
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!tests/benchmarks/results.jsonl")
    return _git("rev-parse", "--short=10", "HEAD") + ("+" if changed else "")


def cpu_s(pid: int) -> float:
    """Processor time that a process has used, all threads, user and system; 0 once it is gone."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S if fields else 0.0


def resident_bytes(pid: int) -> int:
    """What a process holds in memory now."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE_BYTES


def children(pid: int) -> dict[int, str]:
    """The processes that a process has started and that still run: number and name."""
    found = {}
    for path in Path("/proc").iterdir():
        fields = _stat(int(path.name)) if path.name.isdecimal() else []
        if fields and int(fields[1]) == pid:
            found[int(path.name)] = _name(int(path.name))
    return found


def _stat(pid: int) -> list[str]:
    """The fields after the name, which may hold blanks; none if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()
