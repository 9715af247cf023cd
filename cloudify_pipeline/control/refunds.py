"""Refunds that are looked at by themselves, and what becomes of one that was told of and is not any more."""

from collections.abc import Collection

from cloudify_pipeline.control.claims import Claim
from cloudify_pipeline.planning.plans import Skip


def concerns(one: Claim, standing: Collection[str]) -> bool:
    """Whether a refund is looked at by itself; one of a payment that is not credited is told by the payment's own hold."""
    if one.id in standing:
        return True
    if one.status != "succeeded" or not one.minor:
        return False
    return one.posted or one.original.startswith("in_")


def none_due(one: Claim) -> Skip:
    """What became of a refund that was told of before, and is not one any more or is told by a credit note."""
    if one.status != "succeeded":
        return Skip(one.id, "S-REFUND-FAILED", f"the refund is {one.status} in Stripe")
    if not one.minor:
        return Skip(one.id, "S-HAS-CREDIT-NOTE", "a credit note in Stripe says what it is for")
    return Skip(one.id, "S-NO-ORIGINAL", f"{one.original}, which it refunds, is not in the ledger or tells of it itself")
