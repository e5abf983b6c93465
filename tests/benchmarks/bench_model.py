"""Quality of the risk model on the purchases of an online music shop, evaluated strictly forward in time.

`make bench-model CHURN_DATA=DIR`: cut-offs every 7 days; features from strictly before; label = no
order in the next 90 days; trained only on examples whose horizon has passed. Prints the mean over the cut-offs for all
customers, and for those active in the last horizon.
"""

import gzip
import heapq
import os
from collections.abc import Iterator
from copy import deepcopy
from datetime import date
from itertools import groupby
from pathlib import Path
from time import perf_counter

from detectors.features import NAMES, features_at, remember
from detectors.labels import Reviews
from detectors.model import ChurnModel
from detectors.pending import PendingExamples
from detectors.quality import Quality
from detectors.state import Customer
from schemas.decisions import ExampleRecord
from schemas.events import OrderPlaced
from schemas.instants import DAY_MS
from schemas.rules import Churn, RuleSet

HORIZON_DAYS = 90
EPOCH = date(1970, 1, 1)


def purchases(path: Path) -> Iterator[OrderPlaced]:
    """Every purchase, in the file's order."""
    with gzip.open(path, "rt") as file:
        next(file)
        for row, line in enumerate(file):
            customer, day, _, amount = line.strip().split(",")
            at_ms = (date.fromisoformat(day) - EPOCH).days * DAY_MS
            yield OrderPlaced(id=f"{row}", customer_id=customer, at_ms=at_ms, order_id=f"{row}", amount=float(amount))


class Shop:
    """All customers, and the reviews of all of them in the order of time."""

    def __init__(self) -> None:
        reviews = Reviews.of(RuleSet(version="1", tenant="t", churn=Churn(horizon=f"P{HORIZON_DAYS}D")))
        assert reviews is not None
        self._reviews = reviews
        self._store = PendingExamples()
        self.customers: dict[str, Customer] = {}
        self._wakes: list[tuple[int, str]] = []

    def buy(self, order: OrderPlaced) -> None:
        customer = self.customers.get(order.customer_id)
        if customer is None:
            customer = Customer({}, None, id=order.customer_id, first_ms=order.at_ms)
            self.customers[customer.id] = customer
            heapq.heappush(self._wakes, (self._reviews.wake_ms(customer), customer.id))
        remember(customer.features, order)
        self._reviews.on_event(customer, order)

    def matured(self, until_ms: int) -> Iterator[ExampleRecord]:
        while self._wakes and self._wakes[0][0] <= until_ms:
            due_ms, customer_id = heapq.heappop(self._wakes)
            customer = self.customers[customer_id]
            yield from self._reviews.on_due(customer, due_ms, self._store)
            heapq.heappush(self._wakes, (self._reviews.wake_ms(customer), customer_id))


def evaluate(orders: list[OrderPlaced]) -> None:
    """Walk through the file a week at a time."""
    first_ms, last_ms = orders[0].at_ms, orders[-1].at_ms
    bought = {
        name: [order.at_ms for order in group]
        for name, group in groupby(
            sorted(orders, key=lambda order: (order.customer_id, order.at_ms)), key=lambda order: order.customer_id
        )
    }
    shop, model = Shop(), ChurnModel()
    every, active = [], []
    learned, spent_s, place = 0, 0.0, 0
    for week in range(4, 10_000):
        cut_ms = first_ms + week * 7 * DAY_MS
        if cut_ms + HORIZON_DAYS * DAY_MS > last_ms + DAY_MS:
            break
        while place < len(orders) and orders[place].at_ms < cut_ms:
            day_ms = orders[place].at_ms
            learned, spent_s = _learn(model, shop.matured(day_ms), learned, spent_s)
            while place < len(orders) and orders[place].at_ms == day_ms:
                shop.buy(orders[place])
                place += 1
        learned, spent_s = _learn(model, shop.matured(cut_ms), learned, spent_s)
        if cut_ms >= first_ms + (42 + HORIZON_DAYS) * DAY_MS:
            found = _score(model, shop, bought, cut_ms)
            every.append(found[0])
            active.append(found[1])
    for name, scores in (("all", every), ("active", active)):
        auc = sum(quality.auc() for quality in scores) / len(scores)
        loss = sum(quality.log_loss_sum / quality.examples for quality in scores) / len(scores)
        print(f"{name:7} auc {auc:.4f}  log loss {loss:.4f}  over {len(scores)} cut-offs")  # noqa: T201
    print(f"{learned} examples learned, {spent_s / max(1, learned) * 1e6:.1f} us each; {len(NAMES)} features")  # noqa: T201
    print("prequential", model.quality.report(), "usable" if model.usable else "not usable")  # noqa: T201


def _learn(model: ChurnModel, examples: Iterator[ExampleRecord], learned: int, spent_s: float) -> tuple[int, float]:
    for example in examples:
        began_s = perf_counter()
        model.learn(example)
        spent_s += perf_counter() - began_s
        learned += 1
    return learned, spent_s


def _score(model: ChurnModel, shop: Shop, bought: dict[str, list[int]], cut_ms: int) -> tuple[Quality, Quality]:
    every, active = Quality(), Quality()
    horizon_ms = HORIZON_DAYS * DAY_MS
    for name, customer in shop.customers.items():
        # A copy: the review after this cut-off must find the state as it was.
        probability = model.probability(list(features_at(deepcopy(customer.features), cut_ms)))
        churned = not any(cut_ms <= at_ms < cut_ms + horizon_ms for at_ms in bought[name])
        every.update(probability, churned=churned)
        if any(cut_ms - horizon_ms <= at_ms < cut_ms for at_ms in bought[name]):
            active.update(probability, churned=churned)
    return every, active


if __name__ == "__main__":
    data = Path(os.environ["CHURN_DATA"])
    evaluate(sorted(purchases(data / "cdnow" / "cdnow_transactions.csv.gz"), key=lambda order: order.at_ms))
