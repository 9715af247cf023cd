"""The embedded e-conomic over real sockets: faults as a client on the network meets them, and how much it can take."""

import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
import uvicorn

from cloudify_pipeline.sandbox.economic.app import create_app
from cloudify_pipeline.sandbox.economic.store import EconomicStore
from cloudify_pipeline.sandbox.faults import Fault, FaultKind, Faults
from cloudify_pipeline_tests.sandbox.test_economic import TOKENS, Books, Clock, draft


class Served:
    def __init__(self) -> None:
        self.store = EconomicStore()
        self.store.seed(Clock().now)
        self.faults = Faults()
        self.listener = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(create_app(self.store, self.faults, clock=Clock()), log_level="critical", lifespan="off")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.listener]})
        self.thread.start()
        port = self.listener.getsockname()[1]
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=TOKENS, timeout=5)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    served = Served()
    yield served
    served.client.close()
    served.server.should_exit = True
    served.thread.join(10)
    served.listener.close()
    served.store.close()


@pytest.mark.parametrize(
    ("kind", "error", "written"),
    [
        ("drop_before", httpx.TransportError, 0),
        ("drop_after_commit", httpx.TransportError, 1),
        ("timeout_after_commit", httpx.ReadTimeout, 1),
    ],
)
def test_an_answer_that_never_comes(served: Served, kind: FaultKind, error: type[httpx.TransportError], written: int) -> None:
    before = len(served.store.drafts())
    served.faults.add(Fault("POST", "drafts", kind))
    with pytest.raises(error):
        served.client.post("/invoices/drafts", json=draft(), timeout=0.3)
    assert len(served.store.drafts()) == before + written
    answer = served.client.post("/invoices/drafts", json=draft())
    assert (answer.status_code, answer.headers["content-type"]) == (201, "application/json; charset=utf-8")


def test_faults_of_one_server_spare_the_other(served: Served) -> None:
    served.faults.add(Fault(status=500, server="stripe"))
    assert served.client.get("/self").status_code == 200
    served.faults.clear()


async def test_a_thousand_invoices_are_a_matter_of_seconds() -> None:
    books = Books()
    books.store.rate_limit = 1_000_000
    started = time.process_time()
    for number in range(1000):
        body = draft(references={"other": f"stripe:in_{number}"})
        made = await books.post("/invoices/drafts", body, Idempotency_Key=f"draft-{number}")
        book = {"draftInvoice": {"draftInvoiceNumber": made.json()["draftInvoiceNumber"]}}
        assert (await books.post("/invoices/booked", book, Idempotency_Key=f"book-{number}")).status_code == 201
    page = (await books.get("/invoices/booked", pagesize=1000)).json()
    await books.client.aclose()
    assert len({invoice["orderNumber"] for invoice in page["collection"]}) == len(books.store.booked()) == 1000
    assert time.process_time() - started < 15
    books.store.close()
