"""Doors reach hosts through proxies: a host's published address is replaced by that of its proxy.

A trigger of this database alone does it, in the takeover's own transaction, so that no door ever learns the address
behind; the engine knows nothing of it.
"""

from collections.abc import Awaitable, Callable, Mapping

import asyncpg

from cluster.chaos.proxy import Address

INSTALL = """
create table if not exists chaos_links (host_id integer primary key, proxy text not null, address text);
create or replace function chaos_link() returns trigger language plpgsql as $$
begin
    update chaos_links set address = new.address where host_id = new.host_id;
    new.address := coalesce((select proxy from chaos_links where host_id = new.host_id), new.address);
    return new;
end $$;
create or replace trigger chaos_link before update on hosts for each row
    when (new.address is distinct from old.address and new.address is not null) execute function chaos_link();
"""


async def install(dsn: str, ports: Mapping[int, int]) -> None:
    """After the migrations, before the first host takes over. ``ports``: of the proxy of each host."""
    connection = await asyncpg.connect(dsn, timeout=10.0, command_timeout=10.0)
    try:
        await connection.execute(INSTALL)
        await connection.executemany(
            "insert into chaos_links (host_id, proxy) values ($1, $2)",
            [(number, f"127.0.0.1:{port}") for number, port in ports.items()],
        )
    finally:
        await connection.close(timeout=10.0)


def address_behind(dsn: str, number: int) -> Callable[[], Awaitable[Address]]:
    """Where host ``number`` listens now. ``dsn`` is Postgres' own address: what is done to the service's must not reach
    this; while Postgres is away, no host has moved."""
    known: list[Address] = []

    async def upstream() -> Address:
        try:
            connection = await asyncpg.connect(dsn, timeout=2.0, command_timeout=2.0)
            try:
                address = await connection.fetchval("select address from chaos_links where host_id = $1", number)
            finally:
                await connection.close(timeout=2.0)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            address = None
        if address is not None:
            host, _, port = address.rpartition(":")
            known[:] = [(host, int(port))]
        if not known:
            raise ConnectionRefusedError(f"host {number} has no address yet")
        return known[0]

    return upstream
