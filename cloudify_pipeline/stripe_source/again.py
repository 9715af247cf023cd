"""Reading named objects again, with as few requests as the ids allow: one by one, by a list of ids, or by list windows."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cloudify_pipeline.stripe_objects import Kind, RawObject
from cloudify_pipeline.stripe_source.client import PAGE_SIZE, StripeReader
from cloudify_pipeline.stripe_source.kinds import SOURCES, WITH_LINES, source_of, with_all_lines
from cloudify_pipeline.stripe_source.sink import Buffer, Sink
from cloudify_pipeline.stripe_source.together import each
from cloudify_pipeline.stripe_source.windows import Take, read_span

IN_FLIGHT = 8
FEW = 3
"""Up to so many objects are read one by one without asking what would be cheaper."""


@dataclass(frozen=True, slots=True)
class Fetches:
    """How to read some objects: those that are asked for singly, and spans of `created` that are listed whole."""

    singly: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]


def cheapest(wanted: Mapping[str, int], staged: Sequence[int]) -> Fetches:
    """The cheaper way to read `wanted` (id → created, 0 when unknown), `staged` being all known `created`, ascending.

    Neighbours in time are joined into one span as long as listing the span costs no more requests than they do apart.
    """
    timed = sorted((created, stripe_id) for stripe_id, created in wanted.items() if created)
    groups: list[list[tuple[int, str]]] = []
    for one in timed:
        if groups and _pages(groups[-1][0][0], one[0], staged, len(groups[-1]) + 1) <= _cost(groups[-1], staged) + 1:
            groups[-1].append(one)
        else:
            groups.append([one])
    listed = [group for group in groups if len(group) > _pages(group[0][0], group[-1][0], staged, len(group))]
    inside = {stripe_id for group in listed for _, stripe_id in group}
    return Fetches(
        singly=tuple(stripe_id for stripe_id in wanted if stripe_id not in inside),
        spans=tuple((group[0][0], group[-1][0]) for group in listed),
    )


def _cost(group: Sequence[tuple[int, str]], staged: Sequence[int]) -> int:
    return min(len(group), _pages(group[0][0], group[-1][0], staged, len(group)))


def _pages(first: int, last: int, staged: Sequence[int], at_least: int) -> int:
    # Wanted objects may be new, and then they are not among the staged ones.
    inside = max(bisect_right(staged, last) - bisect_left(staged, first), at_least)
    return 1 + inside // PAGE_SIZE


async def read_again(reader: StripeReader, sink: Sink, buffer: Buffer, kind: Kind, wanted: Mapping[str, int]) -> set[str]:
    """Read objects of `kind` (id → created, 0 when unknown) into `buffer`; returns the ids that Stripe does not know.

    Raises as :meth:`StripeReader.page`.
    """
    left = dict(wanted)

    async def take(objects: Sequence[RawObject]) -> None:
        for one in objects:
            left.pop(one.id, None)
        await add_whole(reader, buffer, kind, objects)

    if kind == "product" and len(left) > FEW:
        await _by_ids(reader, list(left), take)
    elif len(left) > FEW:
        for first, last in cheapest(left, sink.created_times(kind)).spans:
            await read_span(reader, source_of(reader, kind), first, last, take)
    return await _singly(reader, buffer, kind, list(left))


async def add_whole(reader: StripeReader, buffer: Buffer, kind: Kind, objects: Sequence[RawObject]) -> None:
    """Put a page into `buffer`; invoices and credit notes with all their lines."""
    if kind in WITH_LINES:
        whole = {one.id: one for one in objects}

        async def complete(one: RawObject) -> None:
            whole[one.id] = await with_all_lines(reader, kind, one)

        await each(objects, complete, in_flight=SOURCES[kind].in_flight)
        objects = list(whole.values())
    await buffer.add(kind, objects)


async def _by_ids(reader: StripeReader, ids: Sequence[str], take: Take) -> None:
    for start in range(0, len(ids), PAGE_SIZE):
        page = await reader.page(SOURCES["product"].path, {"ids": ids[start : start + PAGE_SIZE]})
        await take(page.objects)


async def _singly(reader: StripeReader, buffer: Buffer, kind: Kind, ids: Iterable[str]) -> set[str]:
    source = source_of(reader, kind)
    unknown: set[str] = set()

    async def read(stripe_id: str) -> None:
        found = await reader.retrieve(f"{source.path}/{stripe_id}", source.retrieve_params)
        if found is None:
            unknown.add(stripe_id)
            buffer.gone(kind, [stripe_id])
        else:
            await add_whole(reader, buffer, kind, [found])

    await each(ids, read, in_flight=IN_FLIGHT)
    return unknown
