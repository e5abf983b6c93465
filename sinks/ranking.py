"""The order in which customers at risk are called: by probability times yearly value, as far as both are known."""

from typing import Final

from schemas.decisions import Band, RiskRecord

_BY_BAND: Final[dict[Band, float]] = {"critical": -2.0, "high": -3.0, "elevated": -4.0, "low": -5.0}


def rank(risk: RiskRecord) -> float:
    """The greater, the sooner.

    First by what is at risk a year; then, from 0 down to -1, customers of unknown value by probability; then those whom
    rules alone judge, by band, from -2 down.

    >>> common = {"customer_id": "c", "sequence": 1, "at_ms": 0, "basis": "model", "band": "high"}
    >>> rank(RiskRecord(**common, probability=0.5, value=300.0)), rank(RiskRecord(**common, probability=0.75))
    (150.0, -0.25)
    """
    if risk.probability is None:
        return _BY_BAND[risk.band]
    if risk.value is None:
        return risk.probability - 1.0
    return risk.probability * max(0.0, risk.value)
