"""How long detect waits: between two transactions of a partition, and before it tries again after a failure."""

from typing import Final

FIRST_RETRY_S: Final = 1.0
LAST_RETRY_S: Final = 15.0
_LONGEST_GAP_S: Final = 1.0


def gap_left_s(*, since_last_s: float, last_took_s: float, waiting_records: int, min_gap_s: float, batch_records: int) -> float:
    """How long to let records gather before the next transaction of a partition begins.

    Nothing when the partition was quiet: the first record after a pause is committed at once. Nothing when a full batch
    waits: more would not fit. Between the two, transactions begin `min_gap_s` apart or, on a broker where they take
    longer, as far apart that no more than half of the time is spent in them; so batches grow with load and with the
    broker's latency.

    Args:
        since_last_s: since the last transaction began.
        last_took_s: how long it took.
        waiting_records: that have arrived and are not applied.
        min_gap_s: the setting.
        batch_records: most records of one transaction.

    >>> gap_left_s(since_last_s=60, last_took_s=0.004, waiting_records=1, min_gap_s=0.05, batch_records=2000)
    0.0
    >>> gap_left_s(since_last_s=0.02, last_took_s=0.004, waiting_records=70, min_gap_s=0.07, batch_records=2000)
    0.05
    """
    if waiting_records >= batch_records:
        return 0.0
    gap_s = max(min_gap_s, min(2 * last_took_s, _LONGEST_GAP_S))
    return max(0.0, gap_s - since_last_s)


def retry_in_s(failures: int) -> float:
    """How long to wait after so many failures in a row, at least one; without jitter, since each partition has one owner.

    >>> [retry_in_s(failures) for failures in (1, 2, 3, 4, 5, 100)]
    [1.0, 2.0, 4.0, 8.0, 15.0, 15.0]
    """
    return min(LAST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(failures - 1, 10))
