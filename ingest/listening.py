"""Where this process is reached: an HTTP server on an address of the settings."""

from os import strerror

from aiohttp import web

from ingest.errors import SettingsError


async def listen(runner: web.BaseRunner, host: str, port: int, setting: str) -> str:
    """Serve, and return the address that was bound, which differs where ``port`` is 0.

    Raises ``SettingsError``, with the name of the setting, where the address cannot be had.
    """
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        await runner.cleanup()
        raise SettingsError(
            f"cannot listen on {host}:{port} ({strerror(error.errno or 0)})"
            f"; change {setting} or free the port"
        ) from error
    bound = runner.addresses[0]
    return f"{bound[0]}:{bound[1]}"
