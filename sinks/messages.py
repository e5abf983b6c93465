"""Notices as texts: templates in a sandbox, in the language of whoever reads them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import structlog
from jinja2 import BaseLoader, ChoiceLoader, FileSystemLoader, StrictUndefined, TemplateError, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from msgspec.structs import replace

from schemas.decisions import AlertRecord, Versions
from schemas.zones import load_zone
from sinks.base import Action, Item, Language, Notice, NoticeKind, Storm
from sinks.media import PLAIN, Medium, cut

KINDS: Final[tuple[NoticeKind, ...]] = ("alert", "digest", "storm")
OURS: Final = Path(__file__).parent / "message_templates"
_SEVERITIES: Final[Mapping[Language, Mapping[str, str]]] = {
    "en": {"info": "info", "warning": "warning", "high": "high", "critical": "critical"},
    "zh": {"info": "提示", "warning": "警告", "high": "重要", "critical": "紧急"},
}
_STATES: Final[Mapping[Language, Mapping[str, str]]] = {
    "en": {},
    "zh": {
        "warned": "即将触发",
        "opened": "已触发",
        "escalated": "已升级",
        "acked": "已确认",
        "snoozed": "已推迟",
        "resolved": "已解除",
        "expired": "已失效",
        "retracted": "已撤回",
    },
}
ACTIONS: Final[Mapping[Language, Mapping[Action, str]]] = {
    "en": {
        "show": "Show",
        "ack": "I take care of it",
        "snooze_1d": "Tomorrow",
        "snooze_7d": "In a week",
        "false_alarm": "False alarm",
        "saved": "Saved",
    },
    "zh": {
        "show": "查看",
        "ack": "我来处理",
        "snooze_1d": "明天再说",
        "snooze_7d": "一周后再说",
        "false_alarm": "误报",
        "saved": "已挽回",
    },
}

_FAILURES: Final = (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError)
"""Of a template: whatever is wrong with it, its notice must go out."""

log = structlog.get_logger("churn.messages")


class Text(NamedTuple):
    """What is sent: a line for the subject, and the rest."""

    title: str
    body: str


@dataclass(frozen=True)
class ItemView:
    """What a template sees of an alert: text alone, in words and in the zone of whoever reads it; empty where there is none."""

    severity: str
    subject: str
    rule: str
    state: str
    said: str
    because: tuple[str, ...]
    next_action: str
    clears_if: str
    customer: str
    tier: str
    owner: str
    risk: str
    value_at_risk: str
    due: str
    ack_by: str
    links: tuple[tuple[str, str], ...]


class Messages:
    """Makes texts of notices. A template that fails is told of once, counted, and its notice goes out in plain words.

    Args:
        folder: templates that take the place of ours, in folders by language; None: ours alone.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.errors: Counter[str] = Counter()
        """By language and kind."""
        folders = [OURS] if folder is None else [folder, OURS]
        self._loader = ChoiceLoader([FileSystemLoader(one) for one in folders])
        self._environments: dict[str, ImmutableSandboxedEnvironment] = {}

    def text(self, notice: Notice, medium: Medium) -> Text:
        """Title and body, as the medium takes them."""
        name = f"{notice.language}/{notice.kind}"
        try:
            rendered = self._environment(medium).get_template(f"{name}.j2").render(_context(notice, medium))
        except _FAILURES as error:
            if name not in self.errors:
                log.error("message.template_failed", template=name, reason=f"{type(error).__name__}: {error}")  # noqa: TRY400
            self.errors[name] += 1
            rendered = _plainly(notice, medium)
        title, _, body = _without_blank_lines(rendered).partition("\n")
        return Text(title, cut(body, medium.most_bytes - len(title.encode()) - 1))

    def check(self, notice: Notice) -> None:
        """Render a notice, to find out whether its template can be.

        Raises:
            TemplateError: it cannot.
        """
        template = self._environment(PLAIN).get_template(f"{notice.language}/{notice.kind}.j2")
        template.render(_context(notice, PLAIN))

    def _environment(self, medium: Medium) -> ImmutableSandboxedEnvironment:
        found = self._environments.get(medium.name)
        if found is None:
            found = self._environments[medium.name] = _environment(self._loader, medium)
        return found


def faults_in(folder: Path) -> list[str]:
    """What is wrong with templates of one's own: each is tried with a notice that has everything, and one that has little."""
    found = []
    for name, notices in ((f"{language}/{kind}", _samples(language, kind)) for language in _SEVERITIES for kind in KINDS):
        if not (folder / f"{name}.j2").is_file():
            continue
        try:
            for notice in notices:
                Messages(folder).check(notice)
        except _FAILURES as error:
            line = f", line {error.lineno}" if isinstance(error, TemplateSyntaxError) else ""
            found.append(f"{name}.j2{line}: {type(error).__name__}: {error}")
    return found


def _samples(language: Language, kind: NoticeKind) -> list[Notice]:
    bare = AlertRecord(
        customer_id="ann",
        alert_id="a",
        sequence=1,
        state="opened",
        at_ms=0,
        decided_ms=0,
        rule="no-order@1",
        kind="absence",
        episode_start_ms=0,
        due_ms=0,
        severity="high",
        mode="live",
        versions=Versions(engine=1, rules="1"),
    )
    full = replace(bare, next_action="Call.", risk=0.7, value_at_risk=120.0, ack_by_ms=60_000, tier="gold", owner="lena")
    links: dict[Action, str] = {"ack": "https://churn.example.com/alerts/t"}
    items = Item(full, "silent", ("silent", "gold"), "an order", links), Item(bare, "silent", (), "", {})
    storm = Storm("no-order", 700, 0) if kind == "storm" else None
    shown = [()] if kind == "storm" else [(items[0],), (items[1],)]
    return [Notice("k", kind, "lena", "", language, "UTC", one, storm) for one in shown]


class _Safe(str):
    """Markup of ours, not to be escaped once more."""

    __slots__ = ()


def _environment(loader: BaseLoader, medium: Medium) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        loader=loader,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
        finalize=lambda value: value if isinstance(value, _Safe) else medium.escape(str(value)),
    )
    environment.globals = {"link": lambda label, url: _Safe(medium.link(str(label), str(url)))}
    return environment


def _context(notice: Notice, medium: Medium) -> dict[str, Any]:
    views = [_view(item, notice.language, load_zone(notice.time_zone)) for item in notice.items[: medium.most_items]]
    return {
        "items": views,
        "item": views[0] if views else None,
        "count": len(notice.items),
        "more": len(notice.items) - len(views),
        "storm": None if notice.storm is None else _storm_view(notice.storm, load_zone(notice.time_zone)),
    }


def _view(item: Item, language: Language, zone: ZoneInfo) -> ItemView:
    alert = item.alert
    return ItemView(
        severity=_SEVERITIES[language][alert.severity],
        subject=_subject(alert),
        rule=alert.rule.partition("@")[0],
        state=_STATES[language].get(alert.state, alert.state),
        said=item.said,
        because=item.because if len(item.because) > 1 else (),
        next_action=alert.next_action or "",
        clears_if=item.clears_if,
        customer=alert.customer_id or "",
        tier=alert.tier or "",
        owner=alert.owner or "",
        risk="" if alert.risk is None else f"{alert.risk:.0%}",
        value_at_risk="" if alert.value_at_risk is None else f"{alert.value_at_risk:,.0f}",
        due=_minute(alert.due_ms, zone),
        ack_by="" if alert.ack_by_ms is None else _minute(alert.ack_by_ms, zone),
        links=tuple((ACTIONS[language][action], url) for action, url in item.links.items()),
    )


def _subject(alert: AlertRecord) -> str:
    about = alert.ticket_id or alert.contract_id
    who = alert.customer_id or alert.feed or ""
    return f"{who} ({about})" if about else who


def _storm_view(storm: Storm, zone: ZoneInfo) -> dict[str, str]:
    return {"rule": storm.rule, "customers": str(storm.customers), "since": _minute(storm.since_ms, zone)}


def _minute(at_ms: int, zone: ZoneInfo) -> str:
    return f"{datetime.fromtimestamp(at_ms // 1000, zone):%Y-%m-%d %H:%M}"


def _plainly(notice: Notice, medium: Medium) -> str:
    """Without a template: what must not get lost."""
    if notice.storm is not None:
        return medium.escape(f"{notice.storm.rule}: {notice.storm.customers}")
    lines = [f"{_subject(item.alert)}: {item.alert.rule}: {item.said}" for item in notice.items[: medium.most_items]]
    head = [f"churnwatch: {len(notice.items)}"] if len(lines) > 1 else []
    return "\n".join(map(medium.escape, [*head, *lines]))


def _without_blank_lines(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.split("\n") if line.strip())
