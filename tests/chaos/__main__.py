"""`make chaos ARGS="--kills 20 --zombies 5 --broker-kills 3 --seed 7"`."""

import argparse
import asyncio
import json
import logging
import sys
from pathlib import Path

from chaos.drain import NotDrainedError
from chaos.plan import Counts, make_plan
from chaos.run import Options, run
from kafka_server import KafkaUnavailable

_ABOUT = """\
Faults under load, on three brokers of Apache Kafka (Java 17 and Maven are needed) and real workers; at the end one engine
reads the log in one piece, and everything in the topics is compared with what it says. The exit status is 1 if anything
was lost, wrong or twice, or if a worker took more than 5 s to end after SIGTERM. Stalls are told, never judged.
With --kills 20 --zombies 5 --broker-kills 3 it takes 10 to 12 minutes.
"""


def main() -> int:
    """Run; returns the exit status."""
    arguments = _arguments()
    plan = make_plan(
        Counts(
            kills=arguments.kills,
            zombies=arguments.zombies,
            broker_kills=arguments.broker_kills,
            cuts=arguments.cuts,
            disks_full=arguments.disks_full,
            redis_gone=arguments.redis_gone,
            rolls=arguments.rolls,
        ),
        arguments.seed,
    )
    options = Options(arguments.seed, arguments.rate, arguments.customers, arguments.logs)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it says of brokers that are away is no news here
    status = 1
    try:
        report = asyncio.run(run(plan, options))
        print(json.dumps(report.as_json()) if arguments.json else report)  # noqa: T201
        status = 0 if report.is_right and report.ends_well else 1
    except* (KafkaUnavailable, NotDrainedError) as unusable:
        for error in unusable.exceptions:
            print(error, file=sys.stderr)  # noqa: T201
    return status


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos ARGS=...", description=_ABOUT)
    add = parser.add_argument
    add("--kills", type=int, default=6, metavar="N", help="kill -9 of a worker of any role (default: %(default)s)")
    add(
        "--zombies",
        type=int,
        default=2,
        metavar="N",
        help="SIGSTOP of a worker for longer than its session of 6 s (%(default)s)",
    )
    add("--broker-kills", type=int, default=1, metavar="N", help="kill -9 of a broker (%(default)s)")
    add(
        "--cuts",
        type=int,
        default=1,
        metavar="N",
        help="of each kind: half of the workers see silence, or resets; one broker is silent (%(default)s)",
    )
    add(
        "--disks-full",
        type=int,
        default=1,
        metavar="N",
        help="a broker cannot write any more until it is started anew (%(default)s)",
    )
    add("--redis-gone", type=int, default=1, metavar="N", help="Valkey is stopped and started again (%(default)s)")
    add(
        "--rolls",
        type=int,
        default=1,
        metavar="N",
        help="rounds of changes: each worker anew, new rules, one worker more and fewer, roles split and joined (%(default)s)",
    )
    add("--rate", type=float, default=250.0, metavar="R", help="source records a second (%(default)s)")
    add("--customers", type=int, default=300, metavar="N", help="(%(default)s)")
    add("--seed", type=int, default=7, metavar="N", help="of the plan and of the load (%(default)s)")
    add("--logs", type=Path, metavar="DIR", help="keep the logs of workers there")
    add("--json", action="store_true", help="one object on standard output in place of the table")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
