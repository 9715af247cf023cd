"""How well the mapped ledger fields are filled by what is planned, and which records lack a required one."""

from collections.abc import Mapping
from dataclasses import dataclass

from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.control.planner import Planned
from cloudify_pipeline.mapping.compile import CompiledMappings, FieldMapping
from cloudify_pipeline.planning.plans import Hold, Plan, PlannedCustomer, PlannedDocument, PlannedProduct


@dataclass(frozen=True, slots=True)
class Filled:
    """One mapped ledger field: filled in `filled` of `of` planned records; `lacking` are those that need it and lack it."""

    section: str
    target: str
    required: bool
    filled: int
    of: int
    lacking: tuple[str, ...]

    @property
    def rate(self) -> float | None:
        """Share of the records in which it is filled, 0 to 1."""
        return self.filled / self.of if self.of else None


def filled(opened: OpenConnection, planned: Planned) -> tuple[Filled, ...]:
    """Every mapped field of customers, products and documents."""
    mappings = opened.loaded.mappings
    sections: tuple[tuple[str, CompiledMappings, Mapping[str, Plan]], ...] = (
        ("customers", mappings.customers, planned.customers),
        ("products", mappings.products, planned.products),
        ("documents", mappings.documents, planned.documents),
    )
    return tuple(_filled(section, mapping, plans) for section, compiled, plans in sections for mapping in compiled.mappings)


def _filled(section: str, mapping: FieldMapping, plans: Mapping[str, Plan]) -> Filled:
    target = mapping.target.path
    required = mapping.target.required or mapping.on_empty == "error"
    values = {stripe_id: has for stripe_id, plan in plans.items() if (has := _has(plan, target)) is not None}
    lacking = tuple(stripe_id for stripe_id, has in values.items() if not has) if required else ()
    return Filled(section, target, required, sum(values.values()), len(values), lacking)


def _has(plan: Plan, target: str) -> bool | None:
    """Whether the planned record fills `target`; None when nothing is planned for it, or it is held for another reason."""
    if isinstance(plan, Hold):
        return False if plan.problem.field == target else None
    if isinstance(plan, PlannedDocument):
        return target in plan.document.fields
    if isinstance(plan, PlannedCustomer | PlannedProduct):
        return target in plan.fields or (target == "name" and bool(plan.name))
    return None
