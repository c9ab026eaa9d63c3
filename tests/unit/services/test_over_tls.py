"""The other services over real TLS, with the development stack's certificates (R-SEC-5, R-CFG-2)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from grpc import aio

from actors.catalog import CatalogUnavailable
from actors.neighbours import NeighbourUnavailable
from cluster.dev.certificates import DevelopmentCertificates
from cluster.dev.neighbours.servers import ADDERS, open_server
from cluster.dev.neighbours.world import Known, KnownFile
from cluster.development import NO_SERVERS
from cluster.settings import load_settings
from cluster.wiring.neighbours import BREAKER_FAILURES, Neighbours
from tests.contract.services_world import ACTIVE_USER, HALF_LIFE, PRODUCTS, SUPER_GAME


class Servers:
    """Catalog, Download and Account Service, who show ``certificates`` and ask for one of the same authority."""

    def __init__(self, folder: Path) -> None:
        self._files = {service: KnownFile(folder / f"{service}.json") for service in ADDERS}
        for file in self._files.values():
            file.write(Known(products=list(PRODUCTS)))
        self.ports = dict.fromkeys(ADDERS, 0)
        self._servers: list[aio.Server] = []

    async def open(self, certificates: DevelopmentCertificates) -> None:
        """On the ports they had before."""
        certificates.ensure()
        credentials = grpc.ssl_server_credentials(
            [(certificates.key.read_bytes(), certificates.certificate.read_bytes())],
            root_certificates=certificates.authority.read_bytes(),
            require_client_auth=True,
        )
        for service, file in self._files.items():
            server, port = await open_server(service, file, self.ports[service], credentials)
            self._servers.append(server)
            self.ports[service] = port

    async def close(self) -> None:
        for server in self._servers:
            await server.stop(None)
        self._servers.clear()


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[Servers]:
    made = Servers(tmp_path)
    yield made
    await made.close()


@asynccontextmanager
async def clients(servers: Servers, variables: dict[str, str]) -> AsyncIterator[Neighbours]:
    addresses = {f"{service.upper()}_SERVICE_GRPC_ADDR": f"127.0.0.1:{port}" for service, port in servers.ports.items()}
    environment = {"LIBRARY_ENVIRONMENT": "development", **NO_SERVERS, **addresses, **variables}
    neighbours = Neighbours(load_settings(environment))
    yield neighbours
    await neighbours.close()


def trusting(certificates: DevelopmentCertificates) -> dict[str, str]:
    return {
        "SERVICES_CA_FILE": str(certificates.authority),
        "SERVICES_CERTIFICATE_FILE": str(certificates.client_certificate),
        "SERVICES_KEY_FILE": str(certificates.client_key),
    }


async def nobody_answers(neighbours: Neighbours) -> None:
    """Neither a yes nor a no, and the callers are told when to come back."""
    with pytest.raises(CatalogUnavailable) as away:
        await neighbours.catalog.get_many([SUPER_GAME])
    assert away.value.retry_after_s > 0
    with pytest.raises(NeighbourUnavailable):
        await neighbours.accounts.is_active(ACTIVE_USER)
    with pytest.raises(NeighbourUnavailable):
        await neighbours.downloads.request_install(user_id=ACTIVE_USER, product_id=HALF_LIFE)


async def test_services_of_our_authority_are_believed_and_of_another_are_away(servers: Servers, tmp_path: Path) -> None:
    """R-LIB-4: what was learned is shown however old; a service that cannot prove itself is left alone for a while."""
    ours, strangers = (DevelopmentCertificates(tmp_path / name) for name in ("ours", "strangers"))
    await servers.open(ours)
    async with clients(servers, trusting(ours)) as neighbours:
        assert await neighbours.catalog.get_many([HALF_LIFE]) == {HALF_LIFE: PRODUCTS[0]}
        assert await neighbours.accounts.is_active(ACTIVE_USER)
        await neighbours.downloads.request_install(user_id=ACTIVE_USER, product_id=HALF_LIFE)

        await servers.close()
        await servers.open(strangers)
        await nobody_answers(neighbours)
        assert await neighbours.catalog.get_many([HALF_LIFE]) == {HALF_LIFE: PRODUCTS[0]}
        (account,) = [one for one in neighbours.metrics if one.service == "account"]
        while not account.refused:
            with pytest.raises(NeighbourUnavailable):
                await neighbours.accounts.is_active(ACTIVE_USER)
        assert account.failures["UNAVAILABLE"] >= BREAKER_FAILURES


@pytest.mark.parametrize("wrong", ["no certificate of ours", "no TLS"])
async def test_services_that_ask_for_a_certificate_get_one_or_are_away(
    servers: Servers, tmp_path: Path, wrong: str
) -> None:
    ours = DevelopmentCertificates(tmp_path / "ours")
    await servers.open(ours)
    variables = {"SERVICES_CA_FILE": str(ours.authority)} if wrong == "no certificate of ours" else {}
    async with clients(servers, variables) as neighbours:
        await nobody_answers(neighbours)
