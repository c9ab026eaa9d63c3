"""All proxies of a trial, in a process of their own: a busy crowd must not slow what passes between the parts.

``python -m cluster.chaos.proxies HOSTS`` prints the proxies' ports as a line of JSON and then does what it reads, a
command a line, until its input ends: with its owner, at the latest.
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from typing import Any, Self

import uvloop

from cluster.chaos.child import end
from cluster.chaos.links import address_behind
from cluster.chaos.proxy import Address, TcpProxy

POSTGRES, KAFKA = "postgres", "kafka"
START_TIMEOUT_S = 60.0


def link(number: int) -> str:
    """The name of the proxy in front of a host."""
    return f"link-{number}"


class Proxies:
    """The owner's side, made by ``start``. ``ports`` by name."""

    def __init__(self, process: asyncio.subprocess.Process, ports: dict[str, int]) -> None:
        self._process = process
        self.ports = ports

    @classmethod
    async def start(cls, hosts: int) -> Self:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cluster.chaos.proxies", str(hosts)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None, "it is a pipe"
        async with asyncio.timeout(START_TIMEOUT_S):
            return cls(process, json.loads(await process.stdout.readline()))

    @property
    def links(self) -> list[str]:
        return [name for name in self.ports if name not in (POSTGRES, KAFKA)]

    def lead_to(self, *, dsn: str, postgres: Address, kafka: Address) -> None:
        self._do("lead", [], dsn=dsn, postgres=postgres, kafka=kafka)

    def cut(self, names: Sequence[str]) -> None:
        """Breaks every connection; new ones are taken."""
        self._do("cut", names)

    def stall(self, names: Sequence[str]) -> None:
        """Nothing passes until ``flow``."""
        self._do("stall", names)

    def flow(self, names: Sequence[str]) -> None:
        self._do("flow", names)

    def delay(self, names: Sequence[str], seconds: float) -> None:
        """What passes is late, each way."""
        self._do("delay", names, seconds=seconds)

    async def close(self) -> None:
        await end(self._process)

    def _do(self, what: str, names: Sequence[str], **more: Any) -> None:
        assert self._process.stdin is not None, "it is a pipe"
        self._process.stdin.write(json.dumps({"do": what, "names": list(names), **more}).encode() + b"\n")


class _Proxying:
    """The process itself."""

    def __init__(self, hosts: int) -> None:
        self._leads: dict[str, Address] = {}
        self._dsn = ""
        self._proxies = {name: self._static(name) for name in (POSTGRES, KAFKA)}
        self._proxies |= {link(number): self._to_host(number) for number in range(hosts)}

    async def run(self) -> None:
        for proxy in self._proxies.values():
            await proxy.start()
        print(json.dumps({name: proxy.port for name, proxy in self._proxies.items()}), flush=True)  # noqa: T201
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            self._obey(json.loads(line))
        for proxy in self._proxies.values():
            await proxy.close()

    def _obey(self, command: dict[str, Any]) -> None:
        if command["do"] == "lead":
            self._dsn = command["dsn"]
            self._leads = {name: (command[name][0], command[name][1]) for name in (POSTGRES, KAFKA)}
        for proxy in (self._proxies[name] for name in command["names"]):
            match command["do"]:
                case "cut":
                    proxy.cut()
                case "stall":
                    proxy.stall()
                case "flow":
                    proxy.flow()
                case "delay":
                    proxy.delay_s = command["seconds"]

    def _static(self, name: str) -> TcpProxy:
        async def upstream() -> Address:
            return self._leads[name]

        return TcpProxy(upstream)

    def _to_host(self, number: int) -> TcpProxy:
        known: list[Any] = []

        async def upstream() -> Address:
            if not known:
                known.append(address_behind(self._dsn, number))
            address: Address = await known[0]()
            return address

        return TcpProxy(upstream)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_Proxying(int(sys.argv[1])).run())
