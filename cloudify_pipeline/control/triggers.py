"""What each trigger would have taken of all that is staged, and what it would have missed (reference/product.md N-57, V-26)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import get_args

from cloudify_pipeline.control.joined import joined_records
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.planning.records import Record
from cloudify_pipeline.planning.rules import DueDocument, due
from cloudify_pipeline.settings.models import ConnectionSettings, InvoiceRule, Trigger

TRIGGERS: tuple[Trigger, ...] = get_args(Trigger)


@dataclass(slots=True)
class Tally:
    """How many invoices and payments, and Stripe's totals of them per currency."""

    records: int = 0
    sums: dict[str, Decimal] = field(default_factory=dict)

    def add(self, record: Record) -> None:
        """Count one more."""
        self.records += 1
        self.sums[record.currency] = self.sums.get(record.currency, Decimal(0)) + record.total


@dataclass(frozen=True, slots=True)
class Trial:
    """One trigger as if it were the only rule, over the whole history.

    `missed` is what another trigger takes and this one has not: `never` of it because it is charged automatically and so
    never sent, the rest because it has not happened yet. `used`: a rule of the settings has this trigger.
    """

    trigger: Trigger
    used: bool
    taken: Tally = field(default_factory=Tally)
    missed: Tally = field(default_factory=Tally)
    never: Tally = field(default_factory=Tally)


def try_triggers(opened: OpenConnection) -> tuple[Trial, ...]:
    """Ask each trigger about every staged invoice and payment, without conditions and without a day of going live."""
    used = {rule.when for rule in opened.settings.invoices.rules}
    trials = {trigger: Trial(trigger, trigger in used) for trigger in TRIGGERS}
    alone = {trigger: _alone(opened.settings, trigger) for trigger in TRIGGERS}
    for record in joined_records(opened.staging, [one.id for one in opened.staging.candidates()]):
        _try(record, trials, alone)
    return tuple(trials.values())


def _try(record: Record, trials: Mapping[Trigger, Trial], alone: Mapping[Trigger, ConnectionSettings]) -> None:
    said = {trigger: due(record, settings) for trigger, settings in alone.items()}
    if not any(isinstance(one, DueDocument) for one in said.values()):
        return
    for trigger, one in said.items():
        if isinstance(one, DueDocument):
            trials[trigger].taken.add(record)
            continue
        trials[trigger].missed.add(record)
        if one.code == "S-NEVER-SENT":
            trials[trigger].never.add(record)


def _alone(settings: ConnectionSettings, trigger: Trigger) -> ConnectionSettings:
    rules = [InvoiceRule(when=trigger, create="draft_invoice")]
    invoices = settings.invoices.model_copy(update={"rules": rules})
    return settings.model_copy(update={"invoices": invoices, "go_live_from": None})
