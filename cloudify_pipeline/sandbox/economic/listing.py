"""Collections as the legacy API lists them: filter, sort, page, and the pagination block."""

from collections.abc import Callable
from urllib.parse import quote

from cloudify_pipeline.sandbox.economic.errors import Json, refusal
from cloudify_pipeline.sandbox.economic.exchange import Reply, Request
from cloudify_pipeline.sandbox.economic.filters import allowed_fields, compile_filter, compile_sort
from cloudify_pipeline.sandbox.economic.rules import COLLECTIONS

_LARGEST_PAGE = 1000
_PAGE_COST = 3


def listed(request: Request, collection: str, records: list[Json], show: Callable[[Json], Json]) -> Reply:
    """One page of `records` (already in default order); `show` renders the ones that are on it."""
    flags = COLLECTIONS.get(collection, {"filterable": [], "sortable": []})
    skip, size = _page(request)
    total = len(records)
    if "filter" in request.query:
        predicate = compile_filter(request.query["filter"], collection, allowed_fields(collection, flags["filterable"]))
        records = [record for record in records if predicate(record)]
    if "sort" in request.query:
        records = compile_sort(request.query["sort"], flags["sortable"])(records)
    page = [show(record) for record in records[skip * size : (skip + 1) * size]]
    last = max((len(records) - 1) // size, 0)
    pagination: Json = {
        "maxPageSizeAllowed": _LARGEST_PAGE,
        "skipPages": skip,
        "pageSize": size,
        "results": len(records),
        "resultsWithoutFilter": total,
        "firstPage": _address(request, 0, size),
        "lastPage": _address(request, last, size),
    }
    if skip < last:
        pagination["nextPage"] = _address(request, skip + 1, size)
    if skip > 0:
        pagination["previousPage"] = _address(request, skip - 1, size)
    body = {"collection": page, "pagination": pagination, "metaData": {}, "self": f"{request.base}{request.path}"}
    return Reply(200, body, cost=_PAGE_COST)


def _page(request: Request) -> tuple[int, int]:
    skip, size = request.query.get("skippages", "0"), request.query.get("pagesize", "20")
    if not (skip.isdecimal() and size.isdecimal() and 1 <= int(size) <= _LARGEST_PAGE):
        raise refusal(400, f"The page size must be between 1 and {_LARGEST_PAGE}.", "E04810")
    return int(skip), int(size)


def _address(request: Request, skip: int, size: int) -> str:
    rest = "".join(f"&{name}={quote(request.query[name])}" for name in ("filter", "sort") if name in request.query)
    return f"{request.base}{request.path}?skippages={skip}&pagesize={size}{rest}"
