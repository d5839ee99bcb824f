"""Memory, descriptors and threads of processes over time."""

import os
import time
from pathlib import Path

from world import Watch

RSS_GROWTH_KB = 32 * 1024
# A worker that sends a message by itself for the first time gets a producer for that, and so does a
# standby that takes over an order: with three brokers, five threads and nine descriptors each.
MORE_THREADS = 10
MORE_DESCRIPTORS = 24  # and connections that are being replaced


def usage(pid):
    """What a process uses now; None where it is gone."""
    try:
        status = dict(line.split(":", 1) for line in
                      Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
        return {"rss_kb": int(status["VmRSS"].split()[0]), "threads": int(status["Threads"]),
                "descriptors": len(os.listdir(f"/proc/{pid}/fd"))}
    except (OSError, KeyError):  # gone, or a zombie
        return None


def highest(usages):
    usages = [each for each in usages if each]
    return {name: max(each[name] for each in usages) for name in usages[0]} if usages else {}


def exceeds(before, after, rss_kb=RSS_GROWTH_KB):
    """What of a process is out of proportion to what it was before, as text."""
    limits = {"rss_kb": before["rss_kb"] + rss_kb,
              "threads": before["threads"] + MORE_THREADS,
              "descriptors": before["descriptors"] + MORE_DESCRIPTORS}
    return [f"{name} is {after[name]} after {before[name]}"
            for name in limits if after[name] > limits[name]]


class Sampler(Watch):
    """Notes what processes use, again and again: (seconds since the start, pid, usage)."""

    def __init__(self, world, pids, pause=0.5):
        self.pids = pids  # a function: daemons come and go
        self.samples = []
        self.begin = time.monotonic()
        super().__init__(world, pause)

    def look(self):
        for pid in self.pids():
            used = usage(pid)
            if used:
                self.samples.append((time.monotonic() - self.begin, pid, used))

    def between(self, first, last):
        return [used for at, _, used in self.samples if first <= at <= last]
