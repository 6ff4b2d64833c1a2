"""The machine and its processes: what they are, and what they cost."""

import datetime
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def run(*command, **options):
    """Runs a program to its end; one that fails ends the benchmark."""
    ended = subprocess.run(list(map(str, command)), text=True, **options)
    if ended.returncode:
        sys.exit(f"{command[0]} ended with {ended.returncode}: {ended.stderr or ''}")
    return ended


def output(*command, **options):
    return run(*command, stdout=subprocess.PIPE, **options).stdout.strip()


def cpu(pid):
    """CPU seconds of a process and of its ended children."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def cpu_with_children(pid):
    """CPU seconds of a process and of its children, which an ended one leaves to its parent."""
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout
    return cpu(pid) + sum(map(cpu, found.split()))


def _status(path, member):
    found = re.search(rf"^{member}:\s+(\d+)", path.read_text(), re.MULTILINE)
    return int(found[1]) if found else 0


def memory(pid, member="VmRSS"):
    """Resident memory of a process in megabytes; `VmHWM` is the most that it had."""
    return _status(Path(f"/proc/{pid}/status"), member) / 1024


def wakeups(pid):
    """How often the threads of a process gave up the processor of their own accord."""
    tasks = Path(f"/proc/{pid}/task").glob("*/status")
    return sum(_status(task, "voluntary_ctxt_switches") for task in tasks)


def commit():
    """The commit that is measured; marked where the sources differ from it."""
    named = output("git", "rev-parse", "--short", "HEAD", cwd=ROOT)
    changed = output("git", "status", "--porcelain", "--untracked-files=no", "--", ".",
                     ":!bench/RESULTS.md", ":!bench/plots", cwd=ROOT)
    return named + (" with changes" if changed else "")


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def machine(postgres):
    """What is measured on, and with."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    total = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    # wrk tells its version in its usage, which it ends with 1.
    wrk = subprocess.run(["wrk", "--version"], capture_output=True, text=True).stdout
    return {
        "processor": f"{os.cpu_count()} × {model[1] if model else platform.machine()}",
        "memory": f"{int(total[1]) / 1024 ** 2:.0f} GB",
        "kernel": f"{platform.system()} {platform.release()}",
        "programs": [output(postgres, "--version"), output("rustc", "--version"),
                     " ".join(wrk.split()[:2])],
    }
