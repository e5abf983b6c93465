"""One value of a metric, as it is collected."""

from typing import NamedTuple

from streams.buckets import Buckets
from streams.metric_table import MetricName


class Sample(NamedTuple):
    """A value; for a summary its sum, and of how many it is; for a histogram its buckets."""

    name: MetricName
    labels: tuple[str, ...]
    value: float | Buckets
    of_how_many: int = 1
