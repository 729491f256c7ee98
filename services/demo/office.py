"""What administrators do to open the demo's stores, through the SDK alone. Shared by the demo data and by the day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from authsvc.flows.setup import Initialised
from infosec.api.auth.v1 import requests_pb2, staff_pb2
from infosec.certificates import Authority, CertificateFiles
from infosec.client.connection import Connection, connect
from infosec.clock import Clock
from infosec.config import Config
from infosec.errors import Internal, Reason
from infosec.secret import Secret
from services.commands.init import initialise
from services.demo.people import Authenticator, Person
from services.demo.places import COMMAND_LINE, HOLDERS, REGIONS, STORES, SYSTEMS, TERMINALS
from services.engines import running_or_own_engines
from services.serving import Serving


async def set_up(running: Serving, config: Config, clock: Clock, people: tuple[Person, Person]) -> Initialised:
    """The two first administrators (ID-8). Raises FailedPrecondition(ALREADY_INITIALISED)."""
    async with running_or_own_engines(config) as engines:
        made = await initialise(engines, config, clock, (people[0].as_first, people[1].as_first), HOLDERS)
    for person, issued in zip(people, made.administrators, strict=True):
        person.password = issued.password
        person.authenticator = Authenticator(issued.totp_uri)
    await running.auth.feeder.refresh()
    return made


def connected(running: Serving, config: Config, *, locale: str) -> dict[str, Connection]:
    """A connection for each system of the demo, with a certificate of its own."""
    files = {system.system_id: certificate(config, system.system_id) for system in SYSTEMS}
    files[COMMAND_LINE] = certificate(config, COMMAND_LINE)
    return {
        name: connect(str(running.address), ca=one.ca, cert=one.certificate, key=one.key, locale=locale)
        for name, one in files.items()
    }


def certificate(config: Config, system_id: str) -> CertificateFiles:
    """The certificate of a system, made where there is none."""
    now = datetime.now(UTC)  # TLS is judged by the machine's clock, whatever ours says
    authority = Authority.create_or_load(config.server.tls_dir, carrier=config.server.carrier, now=now)
    return authority.issue_system(system_id, now=now)


async def open_stores(suite: Connection, token: Secret) -> None:
    """Regions, stores with their hours, terminals, and the systems with where they may act."""
    for region in REGIONS:
        await suite.directory.put_region(token, region)
    for store in STORES:
        await suite.directory.put_store(token, store)
    for terminal in TERMINALS:
        await suite.directory.put_terminal(token, terminal)
    for system in SYSTEMS:
        await suite.directory.put_system(token, system)


async def hire(suite: Connection, token: Secret, people: Sequence[Person]) -> staff_pb2.ImportStaffResponse:
    """Hire everybody of the list, or nobody."""
    return await suite.staff.import_many(token, [person.as_new for person in people])


async def propose(suite: Connection, token: Secret, person: Person) -> requests_pb2.StaffRequest:
    """Ask a second administrator for a privileged staff ID (ID-8)."""
    answer = await suite.staff.create(token, person.as_new, reason="新设岗位")
    if not answer.HasField("pending"):
        raise Internal(Reason.INTERNAL, detail="made without a second administrator")
    return answer.pending
