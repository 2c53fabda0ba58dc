"""Where files come from, and whether what comes from there is de-identified."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction

from backend.archive.models import Door, Source
from backend.audit.services import News, record
from backend.errors import BadInput, Missing, NotAllowed, WrongState, reason_of

if TYPE_CHECKING:
    from backend.accounts.models import User

LONGEST_NAME = 120
AS_IS = " (as is)"
# What is done with files of a source that is not known yet.
NEW_ONES_DEIDENTIFY = True
# Doors behind which are objects of our own, made from what was received.
OWN_DOORS = frozenset({"derived"})


def source_of(*, door: str, name: str, actor: User | None) -> Source | None:
    """The source of this name at this door, made if it is new: then it de-identifies.

    None for what Concord itself made of objects that are here.
    """
    return None if door in OWN_DOORS else _source(door, name, actor, deidentify=NEW_ONES_DEIDENTIFY)


def as_is_source(*, door: str, name: str, actor: User | None) -> Source:
    """The source whose files are taken as they are, beside the one of that name.

    Its own source, so that asking once to take a folder as it is changes nothing for the next.
    Raises `BadInput` where an administrator made it de-identify.
    """
    name = f"{name[: LONGEST_NAME - len(AS_IS)]}{AS_IS}"
    source = _source(door, name, actor, deidentify=False)
    if source.deidentify:
        raise BadInput(
            "SOURCE_DEIDENTIFIES",
            f"An administrator made the source “{source.name}” de-identify.",
            "Leave --as-is out, or ask an administrator.",
        )
    return source


def _source(door: str, name: str, actor: User | None, *, deidentify: bool) -> Source:
    known = Source.objects.filter(door=door, name=name[:LONGEST_NAME]).first()
    if known is not None:  # As almost always.
        return known
    with transaction.atomic():
        source, new = Source.objects.get_or_create(
            door=door, name=name[:LONGEST_NAME], defaults={"deidentify": deidentify}
        )
        if new:
            record(
                "source.added",
                source,
                actor=actor,
                door=source.door,
                name=source.name,
                deidentify=source.deidentify,
                news=[News("coordinators", "archive.changed", {})],
            )
    return source


def sources_at(door: str, usual: str) -> list[Source]:
    """The sources of a door to choose from, the usual one first; it may not be kept yet."""
    found = list(Source.objects.filter(door=door))
    if all(one.name != usual for one in found):
        found.append(Source(door=door, name=usual, deidentify=NEW_ONES_DEIDENTIFY))
    return sorted(found, key=lambda one: (one.name != usual, one.name))


def chosen_at(door: str, usual: str, name: str) -> str:
    """The name of the source that was chosen, the usual one where none was; raises `Missing`."""
    if name in ("", usual):
        return usual
    if not Source.objects.filter(door=door, name=name).exists():
        raise Missing("source")
    return name


@transaction.atomic
def add_source(*, door: Door, name: str, actor: User) -> Source:
    """Name one more source of a door; it de-identifies.

    Raises:
        NotAllowed: the person is no administrator.
        BadInput: that is no name.
        WrongState: there is one of that name.
    """
    _require_admin(actor, "names sources")
    name = name.strip()
    if not (0 < len(name) <= LONGEST_NAME and name.isprintable()):
        raise BadInput(
            "BAD_NAME",
            f"A source's name is one line of at most {LONGEST_NAME} characters.",
            "Enter one, such as the hospital's.",
        )
    if Source.objects.filter(door=door, name=name).exists():
        raise WrongState("NAME_TAKEN", f"There is a source “{name}”.", "Choose another name.")
    return _source(door, name, actor, deidentify=True)


@transaction.atomic
def set_issuer(*, source: Source, issuer: str, actor: User | None, reason: str) -> Source:
    """Say who gives out the Patient IDs of a source, for files that do not say so themselves.

    From the next batch on a Patient ID of this source is another person than the same ID of a
    source with another issuer. Raises as `set_deidentify`.
    """
    _require_admin(actor, "says who gives out a source's Patient IDs")
    issuer = issuer.strip()
    if len(issuer) > LONGEST_NAME or not issuer.isprintable():
        raise BadInput(
            "BAD_ISSUER",
            f"An issuer is one line of at most {LONGEST_NAME} characters.",
            "Enter it, or nothing for none.",
        )
    reason = reason_of(reason, "Who a Patient ID stands for is not changed without a reason.")
    return _changed(source, "issuer", issuer, actor, reason)


@transaction.atomic
def set_deidentify(*, source: Source, on: bool, actor: User | None, reason: str) -> Source:
    """Switch de-identification of a source on or off. Batches under way end as they began.

    Args:
        source: which one.
        on: whether it de-identifies from now on.
        actor: an administrator; None for who commands the machine.
        reason: in their own words.

    Raises:
        NotAllowed: the person is no administrator.
        BadInput: no reason was given.
    """
    _require_admin(actor, "says whether a source is de-identified")
    reason = reason_of(reason, "Whether a source is de-identified is not changed without a reason.")
    return _changed(source, "deidentify", on, actor, reason)


def _changed(
    source: Source, field: str, value: str | bool, actor: User | None, reason: str
) -> Source:
    """The source with that value, on record; nothing happens where it has it already."""
    source = Source.objects.select_for_update().get(pk=source.pk)
    if getattr(source, field) == value:
        return source
    setattr(source, field, value)
    source.save(update_fields=[field])
    changed: dict[str, Any] = {field: value}
    record(
        "source.changed",
        source,
        actor=actor,
        reason=reason,
        door=source.door,
        name=source.name,
        news=[News("coordinators", "archive.changed", {})],
        **changed,
    )
    return source


def _require_admin(actor: User | None, what: str) -> None:
    """None is who commands the machine."""
    if actor is not None and not (actor.is_active and actor.is_superuser):
        raise NotAllowed("ADMIN_NEEDED", f"Only an administrator {what}.", "Ask an administrator.")


def door_of(text: str) -> Door:
    """A door by its name; raises `BadInput`."""
    try:
        return Door(text)
    except ValueError:
        raise BadInput(
            "BAD_DOOR", f"There is no door “{text}”.", f"One of {', '.join(Door.values)}."
        ) from None
