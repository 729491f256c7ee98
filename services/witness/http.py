"""The witness over HTTP (C2SP tlog-witness): POST /add-checkpoint, GET /healthz, and nothing else."""

from __future__ import annotations

import asyncio

from aiohttp import web

from infosec import logging
from infosec.errors import InfosecError
from infosec.transparency.witness import MAX_REQUEST_BYTES, SIZE_CONTENT_TYPE, Refused
from services.witness.witness import Witness

READ_WITHIN_S = 10.0
_LOG = logging.get(__name__)


def application(witness: Witness) -> web.Application:
    """The routes of one witness."""

    async def add_checkpoint(request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(READ_WITHIN_S):
                body = await request.read()
        except TimeoutError:
            raise web.HTTPRequestTimeout from None
        try:
            return web.Response(body=witness.add_checkpoint(body), content_type="text/plain", charset="utf-8")
        except Refused as refused:
            return _refusal(refused)
        except (InfosecError, OSError) as error:
            # What was cosigned cannot be read or written: nothing is cosigned until that is settled.
            _LOG.critical("the witness cannot use its state", exc_info=error)
            raise web.HTTPInternalServerError from None

    async def healthz(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    app = web.Application(client_max_size=MAX_REQUEST_BYTES)
    app.router.add_post("/add-checkpoint", add_checkpoint)
    app.router.add_get("/healthz", healthz)
    app.on_response_prepare.append(_without_versions)
    return app


def _refusal(refused: Refused) -> web.Response:
    if refused.size is None:
        return web.Response(status=refused.status, text=f"{refused.refusal.value}\n")
    return web.Response(status=refused.status, body=refused.size_body(), headers={"Content-Type": SIZE_CONTENT_TYPE})


async def _without_versions(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "infosec-witness"
