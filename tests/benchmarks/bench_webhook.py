"""What a webhook costs: signed alerts to a receiver on this machine, as many at once as a lane tells.

`make bench-webhook`. The receiver is a process of its own, which reads each body and answers 204; so the rate is also that of
aiohttp's server. The processor time is that of the sender alone.
"""

import asyncio
import multiprocessing
from time import perf_counter, process_time
from typing import Final

import msgspec
from aiohttp import web
from alert_records import alert
from benchmarks.figures import parser, report, say
from kafka_server import free_ports

from schemas.decisions import AlertRecord, Because, Evidence
from schemas.events import SourcePosition
from schemas.secret import Secret
from sinks.http_calls import CallTerms
from sinks.webhook import WebhookSink, WebhookTerms
from streams.dispatch_lane import AT_ONCE
from streams.wallclock import now_ms

WARM_UP: Final = 500
ALERT: Final = alert(
    because=[Because(clause="silence_ms", value=7_776_000_000, threshold="P90D")],
    evidence=[Evidence(type="order.placed", at_ms=1_768_901_400_000, id="e2", src=SourcePosition("orders", 0, 3, 4711, 0))],
)


def main() -> None:
    """Measure, tell, keep."""
    made = parser(__doc__, runs=3)
    made.add_argument("--alerts", type=int, default=10_000, help="in each run (10,000)")
    options = made.parse_args()
    (port,) = free_ports(1)
    receiver = multiprocessing.Process(target=serve, args=(port,), daemon=True)
    receiver.start()
    asyncio.run(listening(port))
    runs: dict[str, list[float]] = {}
    try:
        for _ in range(options.runs):
            for name, value in asyncio.run(measured(f"http://127.0.0.1:{port}/", options.alerts)).items():
                say(f"{name}: {value:,.1f}")
                runs.setdefault(name, []).append(value)
    finally:
        receiver.terminate()
        receiver.join()
    report("webhook", options, runs)


def serve(port: int) -> None:
    """Take everything, until this process is ended."""

    async def take(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/", take)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


async def listening(port: int) -> None:
    """Wait until the receiver is there."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


async def measured(url: str, alerts: int) -> dict[str, float]:
    """Alerts a second, and what one costs the sender."""
    terms = WebhookTerms(CallTerms(Secret(url), allow=("127.0.0.1",)), (Secret("whsec_" + "a" * 44),))
    sink = WebhookSink("bench", terms, "/churnwatch", now_ms)
    try:
        await tell(sink, WARM_UP)
        began_s, began_cpu_s = perf_counter(), process_time()
        await tell(sink, alerts)
        took_s, spent_s = perf_counter() - began_s, process_time() - began_cpu_s
    finally:
        await sink.close()
    return {"webhook_per_s": alerts / took_s, "webhook_us": spent_s / alerts * 1e6}


async def tell(sink: WebhookSink, alerts: int) -> None:
    """Each for itself, `AT_ONCE` under way."""
    waiting = iter(range(alerts))

    async def some() -> None:
        for number in waiting:
            await sink.deliver([numbered(number)])

    await asyncio.gather(*(some() for _ in range(AT_ONCE)))


def numbered(number: int) -> AlertRecord:
    """Of another alert each time."""
    return msgspec.structs.replace(ALERT, alert_id=f"a{number:08}")


if __name__ == "__main__":
    main()
