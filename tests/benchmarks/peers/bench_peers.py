"""The same job on churnwatch, Kafka Streams, Quix Streams and stock Faust: `make bench-peers`.

The job: of each customer how many events of each type there were and which was the last of each, kept in state with a
changelog; and an alert, once a customer, when the third login within ten days comes. Each does it on the same events
(70 % logins, 25 % orders, 5 % tickets, of 100,000 customers, 147 bytes of JSON in the mean) in four partitions of one
real Kafka node, in one process. `measure.py` says what the clock and the processor's time begin and end with, alike for
all; the alerts of every run are compared with what a naive look at the feed says, whose they are, when, and by which
events: that is the proof that all did the same. No ticks are in the log, since a closing needs a clock that the peers
have not. The order changes from round to round; figures are medians.

churnwatch runs its role `detect` on `churn.events` with one `count` rule and nothing else (`rules.yaml`), settings as
they come. It does more than the job: ids of a customer's last events against duplicates, positions of the sources,
features, the stage of the customer, alerts with all that explains them.

Kafka Streams (`java/`): a processor with one store, binary records, a cache before the store, exactly once (v2).
Quix Streams (`job_quix.py`): its state in RocksDB with a changelog, exactly once.
Faust (`job_faust.py`): one agent and one table in memory with its changelog. At least once: a table's changelog, what an
agent sends and the offsets are three writes. Its own `exactly_once` does not hold and is not used. It is given fewer
events of the same feed, so that the comparison ends.

The settings stand in `tools.py`: those that somebody who reads the tool's manual would try, which are how often it commits,
how large its batches and caches are, where its state is, how many threads it has. The first of each tool is what it is
measured with; `make bench-peers ARGS="--try quix"` runs each, and is how the first was chosen.
"""

import argparse
import asyncio
import sys
from statistics import median

from benchmarks.figures import FIGURES, parser, report, say
from benchmarks.peers.feed import Feed, make_feed
from benchmarks.peers.java_build import JavaUnavailable
from benchmarks.peers.measure import Measured, measure
from benchmarks.peers.tools import TOOLS, Choice, Tool
from benchmarks.topics_filled import broker


def main() -> None:
    """Compare all, or try one tool with all of its settings."""
    made = parser(__doc__, runs=4)
    made.add_argument("--try", dest="tried", choices=list(TOOLS), help="this tool alone, with each of its settings")
    options = made.parse_args()
    try:
        for tool in TOOLS.values():
            tool.command()  # the job in Java is built here, and not while something runs
    except JavaUnavailable as unavailable:
        sys.exit(str(unavailable))
    with broker() as bootstrap:
        if options.tried:
            try_choices(options.tried, bootstrap, options.runs)
        else:
            compare(bootstrap, options)


def compare(bootstrap: str, options: argparse.Namespace) -> None:
    """Every tool in every round, each round begun by another one."""
    feeds = {events: make_feed(events) for events in {tool.events for tool in TOOLS.values()}}
    names, runs = list(TOOLS), {name: list[Measured]() for name in TOOLS}
    for number in range(options.runs):
        place = number % len(names)
        for name in names[place:] + names[:place]:
            tool = TOOLS[name]
            runs[name].append(run_once(tool, tool.choices[0], feeds[tool.events], bootstrap))
    report("peers", options, figures(runs))
    say()
    tell(runs)


def try_choices(name: str, bootstrap: str, rounds: int) -> None:
    """One tool with each of its settings, all of them several times, so that a quiet minute favours none."""
    tool = TOOLS[name]
    feed = make_feed(tool.events)
    for _ in range(rounds):
        for choice in tool.choices:
            say(f"{dict(choice) or 'as it comes'}")
            run_once(tool, choice, feed, bootstrap)


def run_once(tool: Tool, choice: Choice, feed: Feed, bootstrap: str) -> Measured:
    """One run, told as it ends."""
    took = asyncio.run(measure(tool, choice, feed, bootstrap))
    say(f"{tool.name:20} {took.events_per_s:9,.0f} events/s {took.cpu_us_per_event:7.1f} us CPU/event {took.wall_s:6.1f} s")
    return took


def figures(runs: dict[str, list[Measured]]) -> dict[str, list[float]]:
    """What is kept: of each tool, and churnwatch against each, round by round."""
    found: dict[str, list[float]] = {}
    for name, some in runs.items():
        found[f"peers_{name}_per_s"] = [one.events_per_s for one in some]
        found[f"peers_{name}_us"] = [one.cpu_us_per_event for one in some]
        if name != "churnwatch":
            pairs = zip(runs["churnwatch"], some, strict=True)
            found[f"peers_{name}_times"] = [own.events_per_s / peer.events_per_s for own, peer in pairs]
    return found


def tell(runs: dict[str, list[Measured]]) -> None:
    """The table."""
    found = {name: median(values) for name, values in figures(runs).items()}
    say(f"{'':20} {'guarantee':18} {'events':>8} {'events/s':>9} {'us CPU/event':>12}   churnwatch does")
    for name, tool in TOOLS.items():
        line = f"{tool.name:20} {tool.guarantee:18} {runs[name][0].events:8,}"
        line += f" {found[f'peers_{name}_per_s']:9,.0f} {found[f'peers_{name}_us']:12.1f}"
        if name != "churnwatch":
            line += f"   {found[f'peers_{name}_times']:.2f} times as many (aim {FIGURES[f'peers_{name}_times'].aim:g})"
        say(line)


if __name__ == "__main__":
    main()
