"""The service API on the local socket: enrolments, groups and registrations in IoT DPS' REST shapes, with ETags.

    PUT|GET|DELETE  /enrollments/{id}                     POST /enrollments/query
    POST            /enrollments/{id}/attestationmechanism       with the keys
    the same        /enrollmentGroups/{id} …
    GET|DELETE      /registrations/{id}                   POST /registrations/{groupId}/query

`If-Match` names the version that is to be changed; a change of what is there without it is refused, `*` is any.
"""

import asyncio
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from aiohttp import web

from leafward.errors import AlreadyExists, InputError, NotFound, StoreError
from leafward.pki.names import parse_registration_id
from leafward.provisioning.enrolling import fresh_etag
from leafward.provisioning.enrolment_json import Stamp, attestation_body, enrolment_body, read_enrolment
from leafward.provisioning.registrations import Books, state_of
from leafward.store.enrolments import Enrolment
from leafward.wire.api_fields import Fields, to_json
from leafward.wire.service_api import check_service_version

MOST_ITEMS, USUAL_ITEMS = 1000, 100
_CONTINUATION, _MOST = "x-ms-continuation", "x-ms-max-item-count"
_KINDS = {"enrollments": False, "enrollmentGroups": True}


class ServiceApi:
    """The handlers; the databases are asked in threads. `clock` gives aware UTC times. Shut until `open`."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._opened: Books | None = None
        self._clock = clock

    def open(self, books: Books) -> None:
        """Asks these from now on."""
        self._opened = books

    @property
    def _books(self) -> Books:
        if self._opened is None:
            raise StoreError("the database cannot be reached")
        return self._opened

    def routes(self) -> list[web.RouteDef]:
        """What it answers for."""
        found = [
            web.get("/registrations/{id}", self._registration),
            web.delete("/registrations/{id}", self._forget_registration),
            web.post("/registrations/{id}/query", self._registrations),
        ]
        for name in _KINDS:
            found += [
                web.post(f"/{{kind:{name}}}/query", self._query),
                web.post(f"/{{kind:{name}}}/{{id}}/attestationmechanism", self._attestation),
                web.put(f"/{{kind:{name}}}/{{id}}", self._put),
                web.get(f"/{{kind:{name}}}/{{id}}", self._get),
                web.delete(f"/{{kind:{name}}}/{{id}}", self._delete),
            ]
        return found

    async def _put(self, request: web.Request) -> web.Response:
        enrolment_id, group = _named(request)
        etag, body = _if_match(request), await request.read()
        parse_registration_id(enrolment_id)
        stamp = Stamp(fresh_etag(), self._clock())

        def put() -> Enrolment:
            before = self._books.enrolments.find(enrolment_id, group=group)
            enrolment = read_enrolment(body, enrolment_id, group=group, before=before, stamp=stamp)
            if before is not None and etag is None:
                raise AlreadyExists(f"{before.label} exists", hint="If-Match with its etag changes it")
            if before is None and etag not in (None, "*"):
                raise NotFound(f"no enrolment {enrolment_id!r}", hint="leave If-Match out to make one")
            if before is None:
                self._books.enrolments.add(enrolment)
            else:
                self._books.enrolments.replace(enrolment, etag=before.etag if etag == "*" else etag)
            return enrolment

        return _told(await asyncio.to_thread(put))

    async def _get(self, request: web.Request) -> web.Response:
        enrolment_id, group = _named(request)
        return _told(await asyncio.to_thread(self._books.enrolments.get, enrolment_id, group=group))

    async def _attestation(self, request: web.Request) -> web.Response:
        enrolment_id, group = _named(request)
        found = await asyncio.to_thread(self._books.enrolments.get, enrolment_id, group=group)
        return _json(attestation_body(found.attestation, group=group, secrets=True))

    async def _delete(self, request: web.Request) -> web.Response:
        enrolment_id, group = _named(request)
        etag = _if_match(request)
        remove = self._books.enrolments.remove
        await asyncio.to_thread(remove, enrolment_id, group=group, etag=None if etag == "*" else etag)
        return web.Response(status=204)

    async def _query(self, request: web.Request) -> web.Response:
        _check_version(request)
        group = _KINDS[request.match_info["kind"]]
        await _check_query(request)
        after, limit = _page(request)
        found = await asyncio.to_thread(self._books.enrolments.page, group=group, after=after, limit=limit)
        more = found[-1].id if len(found) == limit else None
        return _list([enrolment_body(one) for one in found], request.match_info["kind"], more)

    async def _registration(self, request: web.Request) -> web.Response:
        _check_version(request)
        row = await asyncio.to_thread(self._books.registrations.find, request.match_info["id"])
        if row is None:
            raise NotFound("no such registration")
        return _json(state_of(row).fields())

    async def _forget_registration(self, request: web.Request) -> web.Response:
        _check_version(request)
        etag = _if_match(request)
        remove = self._books.registrations.remove
        await asyncio.to_thread(remove, request.match_info["id"], etag=None if etag == "*" else etag)
        return web.Response(status=204)

    async def _registrations(self, request: web.Request) -> web.Response:
        _check_version(request)
        after, limit = _page(request)
        of_enrolment = self._books.registrations.of_enrolment
        found = await asyncio.to_thread(of_enrolment, request.match_info["id"], group=True, after=after, limit=limit)
        more = found[-1].registration_id if len(found) == limit else None
        return _list([state_of(row).fields() for row in found], "registrations", more)


def _named(request: web.Request) -> tuple[str, bool]:
    _check_version(request)
    return request.match_info["id"], _KINDS[request.match_info["kind"]]


def _check_version(request: web.Request) -> None:
    check_service_version(request.query.get("api-version"))


async def _check_query(request: web.Request) -> None:
    """We list all of them: a filter that was passed over would list too many."""
    query = " ".join(Fields.parse(await request.read(), "query", limit=4096).text("query", "*").split()).lower()
    everything = query.removeprefix("select ").removesuffix(f" from {request.match_info['kind'].lower()}")
    if everything != "*":
        raise InputError("this query is not known", why=f"got {query[:100]!r}, expected all of them: *")


def _page(request: web.Request) -> tuple[str, int]:
    text = request.headers.get(_MOST, str(USUAL_ITEMS))
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= MOST_ITEMS):
        raise InputError(f"the header {_MOST} is wrong", why=f"expected 1 to {MOST_ITEMS}")
    return request.headers.get(_CONTINUATION, ""), int(text)


def _if_match(request: web.Request) -> str | None:
    text = request.headers.get("If-Match")
    return None if text is None else text.strip().removeprefix("W/").strip('"')


def _told(enrolment: Enrolment) -> web.Response:
    return _json(enrolment_body(enrolment), {"ETag": f'"{enrolment.etag}"'})


def _json(value: dict[str, Any], headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=to_json(value), content_type="application/json", headers=headers)


def _list(values: list[dict[str, Any]], kind: str, more: str | None) -> web.Response:
    headers = {"x-ms-item-type": kind, **({} if more is None else {_CONTINUATION: more})}
    return web.Response(body=json.dumps(values).encode("ascii"), content_type="application/json", headers=headers)
