"""What one run did: the documents it touched, and where the connection stands after it."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cloudify_pipeline.control.adopted import ADOPTED
from cloudify_pipeline.control.alerts import open_alerts
from cloudify_pipeline.control.joined import is_charge
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.control.status import status
from cloudify_pipeline.errors import RunStopped
from cloudify_pipeline.planning.rests import NOBODY_RESTS, RESTS, Resting
from cloudify_pipeline.posting.log.lease import turn_missed
from cloudify_pipeline.posting.log.stripe_bindings import stripe_binding
from cloudify_pipeline.staging.store import Staging
from cloudify_pipeline.stripe_objects import mode_name

_PATIENCE = 2.0


@dataclass(frozen=True, slots=True)
class FailedStep:
    """A step that failed, with the catalogue's code."""

    step: str
    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.code}: {self.message} ({self.step})"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`documents` are those that this run touched, as `status` shows them; `counts` are of the whole connection."""

    connection: str
    run_id: str
    counts: Mapping[str, int]
    documents: tuple[Mapping[str, Any], ...]
    waiting_for_a_person: int
    """Held or failed documents: of those the run was asked for, else of the whole connection."""
    notes: tuple[str, ...] = ()
    """What else a person should know of the run, a sentence or two each."""
    unknown: tuple[str, ...] = ()
    """Of the ids that were asked for, those that Stripe does not have, or that are drafts there."""
    mode: str = ""
    """``test mode`` or ``live mode``: whose data these are; empty before the first contact with Stripe."""
    turn: str | None = None
    """Why documents wait for the next run, where another connection had the books; None where none does."""
    resting: Resting = NOBODY_RESTS
    """Of what the run was asked for, else of the whole connection."""

    @property
    def ids(self) -> list[str]:
        """Stripe ids of the touched documents."""
        return [row["stripe_id"] for row in self.documents]


def outcome(opened: OpenConnection, run_id: str, *, ids: Sequence[str] = ()) -> Outcome:
    """What run `run_id` did; `ids` are the records it was limited to."""
    touched = {row["stripe_id"] for row in opened.log.records(opened.name) if row["run_id"] == run_id}
    whole = status(opened)
    asked = set(ids)
    waiting = [
        row for row in whole["documents"] if row["state"] in {"held", "failed"} and (not asked or row["stripe_id"] in asked)
    ]
    documents = tuple(row for row in whole["documents"] if row["stripe_id"] in touched)
    unknown = tuple(sorted(asked - {row["stripe_id"] for row in whole["documents"]}))
    bound = stripe_binding(opened.log.engine, opened.name)
    mode = "" if bound is None else mode_name(livemode=bound.livemode)
    turn = turn_missed(opened.log.engine, opened.name, run_id)
    notes = tuple(alert.message for alert in open_alerts(opened) if alert.key == ADOPTED)
    resting = [row["stripe_id"] for row in whole["documents"] if row["error_code"] == RESTS and is_charge(row["stripe_id"])]
    rests = resting_payments(opened, [one for one in resting if not asked or one in asked])
    return Outcome(opened.name, run_id, whole["counts"], documents, len(waiting), notes, unknown, mode, turn, rests)


def resting_payments(opened: OpenConnection, ids: Sequence[str]) -> Resting:
    """The payments `ids`, which rest; until when is not known while another run has staging."""
    until: list[datetime] = []
    if ids:
        with suppress(RunStopped):
            known = Staging(opened.staging.path, wait_seconds=_PATIENCE).resting()
            until = [at for one in ids if (at := known.get(one)) is not None]
    return Resting(len(ids), max(until, default=None))
