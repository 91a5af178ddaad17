"""A TCP proxy between workers and their servers, which cuts connections, or leaves them open and passes
nothing on any more."""
import asyncio
import pathlib
import threading

from harness import wait_until

DIAL = pathlib.Path(__file__).with_name("dial_through.py")
PIECE = 16384


class Wire:
    """One connection, which lasts for some number of bytes; None: for ever."""

    def __init__(self, life, hangs):
        self.life, self.hangs = life, hangs
        self.ends = []

    def cut(self):
        for end in self.ends:
            end.transport.abort()


class Proxy:
    """`chance` decides which connections end, and when."""

    def __init__(self, case, folder, chance, mean_bytes=None, hanging=0.0):
        self.path = folder / "proxy"
        self.chance, self.mean_bytes, self.hanging = chance, mean_bytes, hanging
        self.ports, self.wires, self.cuts = {}, set(), 0
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        case.addCleanup(self.close)
        wait_until(self.path.exists)

    def serve(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(asyncio.start_unix_server(self.tell_port, self.path))
        self.loop.run_forever()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0))

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    @property
    def worker_prefix(self):
        return [DIAL, self.path]

    # ---- In the loop's thread --------------------------------------------------------------------

    async def tell_port(self, reader, writer):
        """The port of the proxy for a place."""
        host, port = (await reader.readline()).decode().split()
        if (host, port) not in self.ports:
            async def accept(reader, writer):
                await self.join(host, port, reader, writer)
            server = await asyncio.start_server(accept, "127.0.0.1", 0)
            self.ports[host, port] = server.sockets[0].getsockname()[1]
        writer.write(f"{self.ports[host, port]}\n".encode())
        writer.close()

    async def join(self, host, port, reader, writer):
        life = int(self.chance.expovariate(1 / self.mean_bytes)) if self.mean_bytes else None
        wire = Wire(life, self.chance.random() < self.hanging)
        wire.ends.append(writer)
        self.wires.add(wire)
        try:
            far_reader, far_writer = await asyncio.open_connection(host, port)
            wire.ends.append(far_writer)
            await asyncio.gather(self.pass_on(wire, reader, far_writer), self.pass_on(wire, far_reader, writer))
        except OSError:
            pass
        wire.cut()
        self.wires.discard(wire)

    async def pass_on(self, wire, reader, writer):
        while piece := await reader.read(PIECE):
            if wire.life is not None and len(piece) > wire.life:
                self.cuts += 1
                # What is passed on ends anywhere, in the middle of a record.
                writer.write(piece[:wire.life])
                wire.life = 0
                if wire.hangs:
                    await self.loop.create_future()
                raise ConnectionResetError
            wire.life = None if wire.life is None else wire.life - len(piece)
            writer.write(piece)
            await writer.drain()
        raise ConnectionResetError

    # ---- From others -----------------------------------------------------------------------------

    def cut_all(self):
        def cut():
            for wire in list(self.wires):
                wire.cut()
        self.loop.call_soon_threadsafe(cut)
