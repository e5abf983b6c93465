"""`evaluate --html`: one page with everything in it, for a browser without a network."""

from html import escape
from typing import Final

from schemas.instants import format_instant
from schemas.model_quality import RECENCY, SILENCE
from streams.evaluate import Evaluation
from streams.evaluate_frames import BATCH, MODEL, Frame
from streams.evaluate_measures import auc, calibration, roc
from streams.evaluate_summary import cost_in_words, groups_of, in_words, over_cuts, together
from streams.evaluate_svg import Axis, Line, around, chart

_LOOK: Final = {MODEL: ("model", "a"), BATCH: ("batch, refitted weekly", "b"), RECENCY: ("recency histogram", "c")}
_RANKED: Final = {MODEL: _LOOK[MODEL], BATCH: _LOOK[BATCH], SILENCE: ("days silent", "c")}
_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c2430; --paper: #fff; --grid: #d9dee5;
  --a: #0b62c4; --b: #b5480b; --c: #5b7f1e; --d: #7a8594 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e3e8ef; --paper: #14181e; --grid: #333b46; --a: #6db3ff; --b: #ff9d61; --c: #a9d15a; --d: #8b96a5 }
}
body { background: var(--paper); color: var(--ink); font: 15px/1.45 system-ui, sans-serif;
  margin: 2rem auto; max-width: 70rem; padding: 0 1rem }
main { display: grid; gap: 1.5rem; grid-template-columns: repeat(auto-fit, minmax(22rem, 1fr)) }
figure { margin: 0 } figcaption { font-weight: 600 } svg { height: auto; width: 100% }
svg text { fill: var(--ink); font-size: 12px } .grid { stroke: var(--grid) } .line { fill: none; stroke-width: 2 }
.line.a { stroke: var(--a) } .line.b { stroke: var(--b) } .line.c { stroke: var(--c) } .line.d { stroke: var(--d) }
.dot.a { fill: var(--a) } .dot.b { fill: var(--b) } .dot.c { fill: var(--c) } .dot.d { fill: var(--d) }
.legend span { margin-right: 1.2em } .legend .a { color: var(--a) } .legend .b { color: var(--b) }
.legend .c { color: var(--c) } .legend .d { color: var(--d) } pre { overflow-x: auto }
"""


def page(found: Evaluation) -> str:
    """The whole page. All but the time that it took is the same in every run."""
    title = f"churnwatch evaluate: {found.name}"
    charts = [_roc(found), _calibration(found), _over_time(found), _alerts(found)]
    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1><main>",
            *charts,
            f"</main><pre>{escape(in_words(found))}\n\n{escape(cost_in_words(found))}</pre></body></html>",
            "",
        ]
    )


def _roc(found: Evaluation) -> str:
    share = ("share of those who stayed", "share of those who churned")
    lines = [Line("chance", "d", [(0, 0), (1, 1)], dotted=True)]
    for name, (words, colour) in _RANKED.items():
        if name in found.frames[0].scores:
            lines.append(Line(words, colour, roc(*together(found.frames, name))))
    title = "ROC: who is above a limit, all customers at all cut-offs"
    return chart(title, Axis(share[0], 0, 1), Axis(share[1], 0, 1), lines)


def _calibration(found: Evaluation) -> str:
    lines = [Line("as said", "d", [(0, 0), (1, 1)], dotted=True)]
    for name, (words, colour) in _LOOK.items():
        if name in found.frames[0].scores:
            points = [(said, came) for said, came, _ in calibration(*together(found.frames, name))]
            lines.append(Line(words, colour, points, marked=True))
    title = "Calibration: what was said, and what came"
    return chart(title, Axis("probability said", 0, 1), Axis("share that churned", 0, 1), lines)


def _over_time(found: Evaluation) -> str:
    lines = []
    for group, frames in groups_of(found.frames).items():
        for name, (words, colour) in _RANKED.items():
            if frames and name in frames[0].scores:
                points = list(zip(_instants(frames), over_cuts(frames, name, auc), strict=True))
                lines.append(Line(f"{words}, {group}", colour, points, dotted=group == "active"))
    instants = _instants(found.frames)
    areas = [area for line in lines for _, area in line.points]
    x = around("cut-off", instants, lambda at_ms: format_instant(int(at_ms))[:10])
    return chart("Quality over time: area under the ROC curve", x, around("AUC", areas), lines)


def _alerts(found: Evaluation) -> str:
    points = [(limit.a_day, limit.recall) for limit in found.limits if limit.a_day > 0]
    most = max((a_day for a_day, _ in points), default=1.0)
    lines = [Line("limits of the model", "a", points, marked=True)]
    for rule in found.rules:
        lines.append(Line(rule.rule, "b", [(rule.a_day, rule.recall)], marked=True))
        most = max(most, rule.a_day)
    title = "Alerts a day against recall: each limit of the probability, and each rule"
    return chart(title, Axis("alerts a day", 0, most * 1.05), Axis("recall", 0, 1), lines)


def _instants(frames: list[Frame]) -> list[float]:
    return [float(frame.cut_ms) for frame in frames]
