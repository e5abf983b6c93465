"""Which metrics a query in PromQL names, and which there are."""

from typing import Any, Final

import promql_parser

from streams.metric_table import METRICS, Form

_ENDINGS: Final = {"counter": ("",), "gauge": ("",), "summary": ("_sum", "_count"), "histogram": ("_sum", "_count", "_bucket")}


def known_series() -> dict[str, Form]:
    """The series that a worker exposes, each with the form of its metric."""
    return {name + ending: form for name, form in METRICS.items() for ending in _ENDINGS[form.kind]}


def metric_names(query: str) -> set[str]:
    """All that a query names, wherever they stand in it; it must parse."""
    return set(_names(promql_parser.parse(query)))


def _names(node: Any) -> list[str]:
    match node:
        case promql_parser.VectorSelector():
            return [node.name] if node.name else []
        case promql_parser.MatrixSelector():
            return _names(node.vector_selector)
        case (
            promql_parser.AggregateExpr() | promql_parser.ParenExpr() | promql_parser.SubqueryExpr() | promql_parser.UnaryExpr()
        ):
            return _names(node.expr)
        case promql_parser.BinaryExpr():
            return [*_names(node.lhs), *_names(node.rhs)]
        case promql_parser.Call():
            return [name for argument in node.args for name in _names(argument)]
        case promql_parser.NumberLiteral() | promql_parser.StringLiteral():
            return []
        case _:
            raise AssertionError(f"what is this part of a query? {node!r}")
