"""What a run came to: repeats and recovery for each fault, breaches, and whether it passed."""

import json

from schedule import RECOVERY_LIMIT

BEFORE, AFTER = 0.1, 0.2  # seconds around a fault in which repeats are put down to it
SENDERS = 2 + 2 + 2       # bursts in flight: two workers of each daemon, and a run at the same time
SENDERS_IN_ORDER = 2      # who has the lock, and who had it until the fault


class Cluster:
    """Faults that overlap; what happened meanwhile is put down to all of them together."""

    def __init__(self, played):
        self.faults = [played]
        self.first, self.last = played.begun - BEFORE, played.recovered + AFTER
        self.repeats = {}

    def overlaps(self, played):
        return played.begun - BEFORE <= self.last

    def add(self, played):
        self.faults.append(played)
        self.last = max(self.last, played.recovered + AFTER)

    @property
    def names(self):
        return " + ".join(played.fault.name for played in self.faults)

    def bound(self, table, world):
        if world.delivery == "exactly-once":
            return 0
        senders = SENDERS_IN_ORDER if table.ordered else SENDERS
        return table.burst_count * senders * sum(played.fault.repeats for played in self.faults)


def clusters_of(played):
    clusters = []
    for each in sorted(played, key=lambda each: each.begun):
        if clusters and clusters[-1].overlaps(each):
            clusters[-1].add(each)
        else:
            clusters.append(Cluster(each))
    return clusters


def judge_repeats(world, clusters):
    """Repeats are allowed for a fault that may cause them: as many as are in flight."""
    for name, page in world.books.pages.items():
        at_rest = list(page.repeats)
        for cluster in clusters:
            mine = [at for at in at_rest if cluster.first <= at <= cluster.last]
            at_rest = [at for at in at_rest if not cluster.first <= at <= cluster.last]
            cluster.repeats[name] = len(mine)
            bound = cluster.bound(page.table, world)
            if len(mine) > bound:
                world.books.breach("repeats", f"{len(mine)} of {name} for {cluster.names}; "
                                   f"at most {bound} are in flight")
        if at_rest:
            world.books.breach("repeats", f"{len(at_rest)} of {name} without a fault, the first "
                               f"{min(at_rest) - world.books.begin:.1f} s after the begin")


def judge_recovery(world, clusters):
    for cluster in clusters:
        [first, *others] = cluster.faults
        if not others and first.seconds_to_recover() > RECOVERY_LIMIT:
            world.books.breach("liveness", f"{first.planned}: {first.seconds_to_recover():.1f} s")


def report(world, played, begin, more):
    """Judges and returns everything as JSON has it."""
    clusters = clusters_of(played)
    judge_repeats(world, clusters)
    judge_recovery(world, clusters)
    return {
        **more,
        "faults": [each.as_json(begin) for each in played],
        "clusters": [{"faults": [each.fault.name for each in cluster.faults],
                      "recovery": round(max(e.recovered for e in cluster.faults)
                                        - max(e.ended for e in cluster.faults), 3),
                      "repeats": cluster.repeats} for cluster in clusters],
        "tables": world.books.totals(),
        "breaches": world.books.breaches,
        "passed": not world.books.breaches,
    }


def show(result):
    """The report for people."""
    print(f"{'faults':58} {'recovery':>10} {'repeats':>8}")
    for cluster in result["clusters"]:
        print(f"{' + '.join(cluster['faults']):58} {cluster['recovery']:>8.2f} s "
              f"{sum(cluster['repeats'].values()):>8}")
    for name, total in result["tables"].items():
        print(f"{name}: {total['committed']} committed, {total['messages']} messages, "
              f"{total['repeats']} repeats, {total['dead_letters']} dead letters")
    for breach in result["breaches"]:
        print(f"BREACH  {breach}")
    print("passed" if result["passed"] else "FAILED", flush=True)


def save(result, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")


def summarize(paths):
    """Of all reports: each kind of fault that came alone, how often, its repeats and recovery."""
    found = {}
    for path in paths:
        for cluster in json.loads(path.read_text()).get("clusters", []):
            if len(cluster["faults"]) == 1:
                found.setdefault(cluster["faults"][0], []).append(
                    (cluster["recovery"], sum(cluster["repeats"].values())))
    print("| fault | times alone | repeats | recovery, seconds |\n|---|---|---|---|")
    for name, seen in sorted(found.items()):
        times, repeats = [at for at, _ in seen], [count for _, count in seen]
        print(f"| {name} | {len(seen)} | {min(repeats)} – {max(repeats)} "
              f"| {min(times):.1f} – {max(times):.1f} |")
