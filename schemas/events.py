"""Inbound events: what happened to a customer, one frozen struct a type, tagged by `type`."""

import sys
from typing import Annotated, ClassVar, Final, Literal, get_args

import msgspec

from schemas.instants import MAX_EVENT_MS, MAX_INSTANT_MS

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
EpochMs = Annotated[int, msgspec.Meta(ge=0, le=MAX_INSTANT_MS)]
"""Milliseconds since 1970-01-01T00:00:00Z; a time before 1970 is refused."""

EventMs = Annotated[int, msgspec.Meta(ge=0, le=MAX_EVENT_MS)]
"""When something happened. A time after 2200 is refused: it would move clocks to where calendars end."""

Priority = Literal["low", "normal", "high", "urgent"]
Category = Literal["complaint", "question", "incident", "request", "other"]
TicketStatus = Literal["open", "pending", "hold"]
"""`pending`: waiting for the customer."""
Verdict = Literal["true_alarm", "false_alarm", "saved", "lost", "no_action"]
Number = Annotated[float, msgspec.Meta(ge=-sys.float_info.max, le=sys.float_info.max)]
"""Any finite number: one infinity or NaN would poison every sum that it enters."""
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
"""At most what every reader of JSON holds exactly."""


class SourcePosition(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where a record came from; written as `[topic, epoch, partition, offset, index]`."""

    topic: Id
    epoch: Count
    """Raised when a source topic was deleted and made again, so that its offsets start over."""
    partition: Count
    offset: Count
    index: Count = 0
    """Which event of that source record."""

    @property
    def lane(self) -> str:
        """The source partition, as a key."""
        return f"{self.topic}/{self.partition}"


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", gc=False):
    """What every event has."""

    id: Id
    """Unique in its feed."""
    customer_id: Id
    at_ms: EventMs
    src: SourcePosition | None = None
    origin: SourcePosition | None = None
    """Where it stood first, if it was redriven out of the dead letters; `src` is then how it came in."""
    channel: str | None = None

    type: ClassVar[str] = ""
    """The tag, like `order.placed`; set below, once there is one."""


class OrderPlaced(Event, frozen=True, kw_only=True, tag="order.placed"):
    """An order; the amount is in the tenant's currency."""

    order_id: Id
    amount: Number
    items: Count | None = None


class OrderCorrected(Event, frozen=True, kw_only=True, tag="order.corrected"):
    """A new amount for an order placed earlier."""

    order_id: Id
    amount: Number


class OrderReturned(Event, frozen=True, kw_only=True, tag="order.returned"):
    """Goods came back: lowers counts and value, never recency."""

    order_id: Id
    amount: Number | None = None


class OrderCancelled(Event, frozen=True, kw_only=True, tag="order.cancelled"):
    """An order was called off: lowers counts and value, never recency."""

    order_id: Id
    amount: Number | None = None


class LoginSucceeded(Event, frozen=True, kw_only=True, tag="login.succeeded"):
    """The customer signed in."""


class UsageRecorded(Event, frozen=True, kw_only=True, tag="usage.recorded"):
    """A feature of the product was used `count` times."""

    feature: Id
    count: Count = 1
    outcome: Literal["ok", "error"] | None = None


class ProgressRecorded(Event, frozen=True, kw_only=True, tag="progress.recorded"):
    """How much of a course or an onboarding is done, 0 to 1."""

    item: Id
    done: Share


class CampaignEngaged(Event, frozen=True, kw_only=True, tag="campaign.engaged"):
    """The customer reacted to a campaign."""

    campaign_id: Id


class ReferralMade(Event, frozen=True, kw_only=True, tag="referral.made"):
    """The customer brought another one."""


class TicketOpened(Event, frozen=True, kw_only=True, tag="ticket.opened"):
    """A ticket was opened; a second open of the same ticket is ignored."""

    ticket_id: Id
    priority: Priority = "normal"
    category: Category = "other"
    team: Id | None = None


class TicketReplied(Event, frozen=True, kw_only=True, tag="ticket.replied"):
    """Somebody wrote in a ticket; a private note (`public` false) is no reply."""

    ticket_id: Id
    by: Literal["agent", "customer"]
    public: bool = True


class TicketUpdated(Event, frozen=True, kw_only=True, tag="ticket.updated"):
    """Any of priority, category, team or status changed."""

    ticket_id: Id
    priority: Priority | None = None
    category: Category | None = None
    team: Id | None = None
    status: TicketStatus | None = None


class TicketResolved(Event, frozen=True, kw_only=True, tag="ticket.resolved"):
    """The desk calls the ticket solved."""

    ticket_id: Id


class TicketReopened(Event, frozen=True, kw_only=True, tag="ticket.reopened"):
    """A resolved or closed ticket is open again."""

    ticket_id: Id


class TicketClosed(Event, frozen=True, kw_only=True, tag="ticket.closed"):
    """The ticket is closed for good."""

    ticket_id: Id


class SurveyAnswered(Event, frozen=True, kw_only=True, tag="survey.answered"):
    """A satisfaction score on a scale from 0 or 1 to `scale_max`."""

    survey: Literal["csat", "nps"]
    score: Number
    scale_max: Annotated[float, msgspec.Meta(gt=0, le=sys.float_info.max)]


class ContactMade(Event, frozen=True, kw_only=True, tag="contact.made"):
    """We wrote to the customer."""

    contact_id: Id


class ContactReplied(Event, frozen=True, kw_only=True, tag="contact.replied"):
    """The customer answered our contact."""

    contact_id: Id


class ContractSet(Event, frozen=True, kw_only=True, tag="contract.set"):
    """A contract and its renewal date; may move an earlier date."""

    contract_id: Id
    renews_at_ms: EpochMs


class ContractRenewed(Event, frozen=True, kw_only=True, tag="contract.renewed"):
    """The contract goes on until the new renewal date."""

    contract_id: Id
    renews_at_ms: EpochMs


class ContractCancelled(Event, frozen=True, kw_only=True, tag="contract.cancelled"):
    """The customer gave notice."""

    contract_id: Id


class CustomerUpdated(Event, frozen=True, kw_only=True, tag="customer.updated"):
    """Master data: any of these fields."""

    tier: Id | None = None
    owner: Id | None = None
    org: Id | None = None
    value: Number | None = None
    """Yearly value, currency units."""


class CustomerErased(Event, frozen=True, kw_only=True, tag="customer.erased"):
    """The customer wants to be forgotten."""


class AlertAction(Event, frozen=True, kw_only=True):
    """What people do with an alert; enters through `churn.actions`."""

    alert_id: Id
    by: Id


class AlertAcked(AlertAction, frozen=True, kw_only=True, tag="alert.acked"):
    """Somebody takes care of it."""


class AlertSnoozed(AlertAction, frozen=True, kw_only=True, tag="alert.snoozed"):
    """Looked at again at `until_ms`."""

    until_ms: EpochMs


class AlertAssigned(AlertAction, frozen=True, kw_only=True, tag="alert.assigned"):
    """A new owner."""

    to: Id


class AlertNoted(AlertAction, frozen=True, kw_only=True, tag="alert.noted"):
    """A remark."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=10_000)]


class AlertJudged(AlertAction, frozen=True, kw_only=True, tag="alert.judged"):
    """Was the alert right, and did it help?"""

    verdict: Verdict


OrderEvent = OrderPlaced | OrderCorrected | OrderReturned | OrderCancelled
TicketEvent = TicketOpened | TicketReplied | TicketUpdated | TicketResolved | TicketReopened | TicketClosed
AlertEvent = AlertAcked | AlertSnoozed | AlertAssigned | AlertNoted | AlertJudged
AnyEvent = (
    OrderEvent
    | LoginSucceeded
    | UsageRecorded
    | ProgressRecorded
    | CampaignEngaged
    | ReferralMade
    | TicketEvent
    | SurveyAnswered
    | ContactMade
    | ContactReplied
    | ContractSet
    | ContractRenewed
    | ContractCancelled
    | CustomerUpdated
    | CustomerErased
    | AlertEvent
)

for _struct in get_args(AnyEvent):
    _struct.type = str(_struct.__struct_config__.tag)

EVENT_TYPES: Final = tuple(sorted(event.type for event in get_args(AnyEvent)))
"""Every `type` that an event may have."""
