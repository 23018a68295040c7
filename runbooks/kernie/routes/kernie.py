"""`/kernie/…`: what a tester asks and tells the mock. The real server has none of these."""

from __future__ import annotations

from aiohttp import web

from runbooks.kernie.answers import empty, json_answer, json_body, mock_of
from runbooks.kernie.differences import DIFFERENCES
from runbooks.kernie.errors import KernieError
from runbooks.kernie.faults import Fault

ROUTES = web.RouteTableDef()


@ROUTES.get("/kernie/requests")
async def requests(request: web.Request) -> web.Response:
    """The last requests, oldest first: `method`, `path` (`/view*` for all below), `status`, `since` (a number)."""
    query = request.query
    try:
        status = int(query["status"]) if "status" in query else None
        since = int(query.get("since", 0))
    except ValueError:
        return json_answer({"error": "status and since must be whole numbers"}, 400)
    method = query["method"].upper() if "method" in query else None
    found = mock_of(request).journal.find(method, query.get("path"), status, since)
    return json_answer({"requests": [seen.shown() for seen in found], "count": len(found)})


@ROUTES.delete("/kernie/requests")
async def forget_requests(request: web.Request) -> web.Response:
    """Forget the requests."""
    mock_of(request).journal.clear()
    return empty()


@ROUTES.get("/kernie/faults")
async def faults(request: web.Request) -> web.Response:
    """The faults that are switched on."""
    return json_answer({"faults": [fault.shown() for fault in mock_of(request).faults.active]})


@ROUTES.post("/kernie/faults")
async def add_fault(request: web.Request) -> web.Response:
    """Switch a fault on: `{"kind": "slow", "seconds": 2, "times": 3, "path": "/history"}`."""
    try:
        fault = Fault.parse(await json_body(request))
    except ValueError:
        return json_answer({"error": "The body is not JSON."}, 400)
    except KernieError as error:
        return json_answer({"error": str(error)}, 400)
    active = mock_of(request).faults
    active.add(fault)
    return json_answer({"faults": [each.shown() for each in active.active]})


@ROUTES.delete("/kernie/faults")
async def clear_faults(request: web.Request) -> web.Response:
    """Switch all faults off; requests that hang are answered."""
    mock_of(request).faults.clear()
    return empty()


@ROUTES.post("/kernie/reset")
async def reset(request: web.Request) -> web.Response:
    """Stop the running prompt; forget queue, history, cache, requests, faults, counts. Files stay."""
    await mock_of(request).reset()
    return empty()


@ROUTES.get("/kernie/differences")
async def differences(request: web.Request) -> web.Response:  # noqa: ARG001
    """What is different from ComfyUI on purpose, and why."""
    return json_answer([{"what": what, "why": why} for what, why in DIFFERENCES])
