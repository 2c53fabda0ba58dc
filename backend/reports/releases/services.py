"""The verbs of releases: draft, list, freeze, withdraw, and the count of looks. All are events."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from backend.accounts.models import User
from backend.audit.services import record
from backend.errors import BadInput, NotAllowed, WrongState, reason_of
from backend.imaging.masks import canonical_json
from backend.reading.models import Case, Project, Subject
from backend.reading.workflow import ConsensusState
from backend.reports.releases.listing import manifest_of, people_of
from backend.reports.releases.models import Release, ReleaseItem, ReleaseState
from backend.reports.releases.selectors import coordinates, listed, published
from backend.reports.releases.splitting import Side, Split, split_of
from backend.store import store

LONGEST_NAME = 80
MOST_HELD_OUT = 90


@transaction.atomic
def draft_release(*, project: Project, name: str, held_out: int, actor: User) -> Release:
    """A new release that lists every published case no protocol rule excludes from cohorts.

    Raises:
        BadInput: no name, one that is taken, or a share that cannot be held out.
        NotAllowed: the actor does not coordinate the project.
    """
    _require_coordinator(actor, project)
    name = " ".join(name.split())
    if not name or len(name) > LONGEST_NAME:
        raise BadInput(
            "NAME_NEEDED",
            f"A release needs a name of at most {LONGEST_NAME} characters.",
            "Name it as it will be cited, for example 2026-11 first hundred.",
        )
    if not 0 <= held_out <= MOST_HELD_OUT:
        raise BadInput(
            "HELD_OUT",
            f"{held_out} % cannot be held out for tests.",
            f"Choose 0 to {MOST_HELD_OUT} %; 20 % is usual.",
        )
    if Release.objects.filter(project=project, name=name).exists():
        raise BadInput(
            "NAME_TAKEN", f"There is a release {name} in {project}.", "Give it another name."
        )
    release = Release.objects.create(
        project=project, name=name, held_out=held_out, created_by=actor
    )
    found = [one for one in published(project) if not one.case.exclusions]
    ReleaseItem.objects.bulk_create(
        ReleaseItem(release=release, case=one.case, consensus=one) for one in found
    )
    cases = [str(one.case_id) for one in found]
    record("release.drafted", release, actor=actor, name=name, held_out=held_out, cases=cases)
    return release


@transaction.atomic
def list_case(*, release: UUID, case: Case, actor: User) -> Release:
    """List a case's published version in a draft, in the place of another version of it.

    Raises:
        WrongState: the release is no draft, or nothing of the case is published.
    """
    found = _draft(release, actor)
    one = published(found.project).filter(case=case).first()
    if one is None:
        raise WrongState(
            "NOT_PUBLISHED",
            f"Nothing of {case.label} is published now.",
            "List it once all have signed its consensus.",
        )
    ReleaseItem.objects.update_or_create(release=found, case=case, defaults={"consensus": one})
    record(
        "release.listed",
        found,
        actor=actor,
        case=str(case.pk),
        consensus=str(one.pk),
        version=one.version,
        exclusions=list(case.exclusions),
    )
    return found


@transaction.atomic
def unlist_case(*, release: UUID, case: Case, actor: User) -> Release:
    """Take a case out of a draft."""
    found = _draft(release, actor)
    if found.items.filter(case=case).delete()[0]:
        record("release.unlisted", found, actor=actor, case=str(case.pk))
    return found


@transaction.atomic
def freeze(*, release: UUID, actor: User) -> Release:
    """Make a draft final: who is held out is drawn, and the manifest lies in the store.

    From here on every person in it keeps their side for life.

    Raises:
        WrongState: the release is no draft, lists nothing, or lists a version that is not the
            published one any more.
    """
    found = _draft(release, actor)
    # Everybody who draws waits for the others: a person cannot get two sides.
    list(Project.objects.select_for_update().filter(pk=found.project_id))
    consensuses = list(listed(found))
    if not consensuses:
        raise WrongState(
            "NOTHING_LISTED",
            "This release lists no case.",
            "List a case whose consensus is published.",
            possible=["list"],
        )
    stale = [one for one in consensuses if one.state != ConsensusState.PUBLISHED.value]
    if stale:
        names = ", ".join(one.case.label for one in stale)
        raise WrongState(
            "NOT_PUBLISHED",
            f"The listed version is not the published one any more: {names}.",
            "List their published versions instead, or take them out.",
            possible=["list", "unlist"],
        )
    people = people_of(consensuses)
    splits = split_of(people, seed=str(found.pk), held_out=found.held_out / 100)
    now = timezone.now()
    manifest = manifest_of(found, consensuses, splits, now)
    for item in found.items.select_related("case__subject"):
        item.split = splits[item.case.subject.key].value
        item.save(update_fields=["split"])
    for side, keys in _sides(splits).items():
        new = Subject.objects.filter(project=found.project_id, key__in=keys, role="")
        new.update(role=side.value)
    found.state, found.frozen_at = ReleaseState.FROZEN.value, now
    found.manifest, found.sha256 = manifest, store().put(canonical_json(manifest))
    found.save()
    counts = {split.value: sum(s is split for s in splits.values()) for split in Split}
    record(
        "release.frozen", found, actor=actor, name=found.name, sha256=found.sha256, people=counts
    )
    for one in consensuses:
        record(
            "case.released",
            one.case,
            actor=actor,
            chain=one.case.chain,
            release=str(found.pk),
            name=found.name,
            sha256=found.sha256,
            consensus=str(one.pk),
            version=one.version,
        )
    return found


@transaction.atomic
def withdraw(*, release: UUID, reason: str, actor: User) -> Release:
    """Say that a frozen release is not to be used any more, and why; it stays as it is."""
    found = _locked(release, actor)
    if found.state != ReleaseState.FROZEN.value:
        raise WrongState(
            "NOT_FROZEN",
            f"{found.name} is {found.state}.",
            "Only a frozen release is withdrawn; a draft is simply left.",
        )
    found.reason = reason_of(reason, "Withdrawing a release needs a reason.")
    found.state, found.withdrawn_at = ReleaseState.WITHDRAWN.value, timezone.now()
    found.save()
    record("release.withdrawn", found, actor=actor, reason=found.reason, sha256=found.sha256)
    return found


@transaction.atomic
def note_look(*, release: Release, actor: User | None, model: str) -> int:
    """Count that a model was measured on the people held out; how often that was."""
    Release.objects.filter(pk=release.pk).update(looks=F("looks") + 1)
    release.refresh_from_db(fields=["looks"])
    record("release.looked_at", release, actor=actor, model=model, looks=release.looks)
    return release.looks


def _sides(splits: dict[str, Split]) -> dict[Side, list[str]]:
    locked = [key for key, split in splits.items() if split is Split.LOCKED_TEST]
    return {
        Side.LOCKED_TEST: locked,
        Side.DEVELOPMENT: [key for key, split in splits.items() if split is not Split.LOCKED_TEST],
    }


def _draft(release: UUID, actor: User) -> Release:
    found = _locked(release, actor)
    if found.state != ReleaseState.DRAFT.value:
        raise WrongState(
            "NOT_A_DRAFT",
            f"{found.name} is {found.state}: its list is final.",
            "Draft another release.",
            possible=["draft"],
        )
    return found


def _locked(release: UUID, actor: User) -> Release:
    found = (
        Release.objects.select_for_update(of=("self",)).select_related("project").get(pk=release)
    )
    _require_coordinator(actor, found.project)
    return found


def _require_coordinator(actor: User, project: Project) -> None:
    if not coordinates(actor, project):
        raise NotAllowed(
            "ROLE_NEEDED",
            "Only a coordinator makes, freezes and withdraws releases.",
            "Ask a coordinator of this project.",
        )
