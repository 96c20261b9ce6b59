"""One Apicurio registry for this machine; its schemas survive it.

https://www.apicur.io/registry/docs/apicurio-registry/2.6.x/
"""

from pathlib import Path
from typing import Final

from penstock.child import Child
from penstock.jars import Jars
from penstock.leash import Leash
from penstock.ports import LOOPBACK
from schemas.registry import Registry

_LEAN: Final = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


def registry_url(port: int) -> str:
    """Return the address of the part that speaks Confluent's protocol."""
    return f"http://{LOOPBACK}:{port}/apis/ccompat/v7"


def registry_server(
    directory: Path, java: str, jars: Jars, port: int, leash: Leash | None
) -> Child:
    """Return a registry, not started, with its database in a directory."""
    listen = (f"-Dquarkus.http.host={LOOPBACK}", f"-Dquarkus.http.port={port}")
    return Child(
        name="the registry",
        command=[java, *_LEAN, *listen, "-jar", str(jars.registry)],
        log=directory / "registry.log",
        port=port,
        serves=Registry(registry_url(port), seconds=1.0).answers,
        # Without WRITE_DELAY=0 the last writes are lost when it is killed.
        environment={
            "REGISTRY_DATASOURCE_URL": f"jdbc:h2:file:{directory}/registry/db;WRITE_DELAY=0"
        },
        leash=leash,
    )
