"""The gate that every change of a schema goes through, with a registry or without one."""

from collections.abc import Iterator

from schemas.constructs import strays
from schemas.growth import Remark, refused
from schemas.registry import MODE, SUBJECTS, Objection, Registry, parse
from schemas.released import released


def objections(subject: str, text: str, registry: Registry | None = None) -> Iterator[Objection]:
    """Yield why a text must not become the next version of a subject; nothing if it may.

    It is held against the contract, every released version, and what the registry has.
    Raises ``Refused`` if the text is no schema.
    """
    parse(subject, text)
    for remark in strays(text):
        yield Objection(subject, "the contract", remark)
    for number, before in released(SUBJECTS[subject]).items():
        for remark in refused(before, text):
            yield Objection(subject, f"released v{number}", remark)
    if registry is not None:
        yield from registry.objections(subject, text)
        yield from _unruled(subject, registry)


def _unruled(subject: str, registry: Registry) -> Iterator[Objection]:
    mode = registry.mode(subject)
    if mode != MODE and registry.versions(subject):
        remark = Remark(
            "", f"its rule is {mode}, not {MODE}", "`penstock schemas register` sets it"
        )
        yield Objection(subject, "the registry", remark)
