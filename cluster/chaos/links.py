"""Proxies between doors and hosts: a host's published address is replaced by that of its proxy.

A trigger of this database alone does it, in the takeover's own transaction, so that no door ever learns the address
behind; the engine knows nothing of it.
"""

from collections.abc import Awaitable, Callable

import asyncpg

from cluster.chaos.proxy import Address, TcpProxy

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


class LinkProxies:
    """One proxy a host. ``dsn`` is Postgres' own address: what is done to the service's must not reach this."""

    def __init__(self, dsn: str, hosts: int) -> None:
        self._dsn = dsn
        self._known: dict[int, Address] = {}
        self.proxies = {number: TcpProxy(self._behind(number)) for number in range(hosts)}

    async def start(self) -> None:
        """After the migrations, before the first host takes over."""
        for proxy in self.proxies.values():
            await proxy.start()
        connection = await asyncpg.connect(self._dsn, timeout=10.0, command_timeout=10.0)
        try:
            await connection.execute(INSTALL)
            await connection.executemany(
                "insert into chaos_links (host_id, proxy) values ($1, $2)"
                " on conflict (host_id) do update set proxy = excluded.proxy",
                [(number, f"127.0.0.1:{proxy.port}") for number, proxy in self.proxies.items()],
            )
        finally:
            await connection.close(timeout=10.0)

    async def close(self) -> None:
        for proxy in self.proxies.values():
            await proxy.close()

    def _behind(self, number: int) -> Callable[[], Awaitable[Address]]:
        async def upstream() -> Address:
            try:
                connection = await asyncpg.connect(self._dsn, timeout=2.0, command_timeout=2.0)
                try:
                    address = await connection.fetchval("select address from chaos_links where host_id = $1", number)
                finally:
                    await connection.close(timeout=2.0)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                address = None  # Postgres is away; the host has not moved meanwhile
            if address is not None:
                host, _, port = address.rpartition(":")
                self._known[number] = (host, int(port))
            if number not in self._known:
                raise ConnectionRefusedError(f"host {number} has no address yet")
            return self._known[number]

        return upstream
