"""The fields of Stripe's objects as the official SDK declares them: what the packaged catalogue is made from and checked against.

``python -m cloudify_pipeline_tests.stripe_source.sdk_fields`` prints the catalogue's data anew.
"""

import ast
import inspect
import json
from collections.abc import Iterator
from pathlib import Path

import stripe

OBJECTS = {
    "customers": "customer",
    "products": "product",
    "prices": "price",
    "invoices": "invoice",
    "lines": "invoice_line_item",
    "charges": "charge",
}
# Answers to a request, secrets, and settings of a payment page: nothing a document could need.
LEFT_OUT = {
    "payment_settings",
    "client_secret",
    "confirmation_secret",
    "rendering",
    "payment_method_options",
    "test_clock",
    "object",
}
DEPTH = 5

Typed = tuple[str, str]


def declared(name: str) -> dict[str, str]:
    """Path → type of every mappable field of one object."""
    source = Path(inspect.getfile(stripe)).with_name(f"_{name}.py").read_text(encoding="utf-8")
    class_name = "".join(part.title() for part in name.split("_"))
    tree = ast.parse(source)
    outer = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == class_name)
    return dict(_fields(outer, {}, "", 1))


def tax_id_types() -> list[str]:
    """The kinds of tax id that Stripe knows."""
    source = Path(inspect.getfile(stripe)).with_name("_tax_id.py").read_text(encoding="utf-8")
    tree = ast.parse(source)
    outer = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "TaxId")
    declared_type = next(
        one
        for one in outer.body
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and one.target.id == "type"
    )
    return sorted(
        {node.value for node in ast.walk(declared_type) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    )


def _fields(node: ast.ClassDef, known: dict[str, ast.ClassDef], prefix: str, depth: int) -> Iterator[Typed]:
    classes = {**known, **{one.name: one for one in node.body if isinstance(one, ast.ClassDef)}}
    for one in node.body:
        if not (isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)):
            continue
        name = one.target.id
        if name in LEFT_OUT or name.isupper() or name.startswith("_"):
            continue
        path = f"{prefix}{name}"
        text = ast.unparse(one.annotation)
        inner = text.removeprefix("Optional[").rstrip("]") if text.startswith("Optional[") else text
        if inner in classes:
            yield path, "address" if "address" in name else "object"
            if depth < DEPTH:
                yield from _fields(classes[inner], {}, f"{path}.", depth + 1)
        else:
            yield path, _type(name, text)


def _type(name: str, annotation: str) -> str:
    text = annotation.replace("Optional[", "")
    if "List" in text:
        return "list"
    if "UntypedStripeObject" in text:
        return "object"
    if text.startswith("bool") or "Literal[True]" in text:
        return "boolean"
    if "Decimal" in text or text.startswith("float"):
        return "decimal"
    if text.startswith("int"):
        return _integer(name)
    if text.startswith("'") and "ExpandableField" not in text:
        return "object"
    return {"email": "email", "receipt_email": "email", "customer_email": "email", "phone": "phone", "customer_phone": "phone",
            "country": "country", "currency": "currency"}.get(name, "text")  # fmt: skip


_TIMES = {"created", "updated", "due_date", "start", "end", "next_payment_attempt", "webhooks_delivered_at"}
_COUNTS = {"quantity", "attempt_count", "next_invoice_sequence", "interval_count", "divide_by", "trial_period_days", "up_to"}
_MONEY = {"subtotal", "total", "balance", "unit_amount", "minimum", "maximum", "preset", "starting_balance", "ending_balance",
          "flat_amount", "threshold", "subtotal_excluding_tax", "total_excluding_tax", "amount_gte"}  # fmt: skip


def _integer(name: str) -> str:
    if name in _TIMES or name.endswith(("_at", "_date", "_before")) or name in {"period_start", "period_end"}:
        return "timestamp"
    if name in _MONEY or "amount" in name or "balance" in name:
        return "money"
    return "integer"


if __name__ == "__main__":
    objects = {catalogue: declared(name) for catalogue, name in OBJECTS.items()}
    print(json.dumps({"objects": objects, "tax_id_types": tax_id_types()}, separators=(",", ":")))  # noqa: T201
