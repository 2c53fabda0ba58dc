"""What the log must say of a case so that its story can be told from the log alone."""

from __future__ import annotations

from typing import Any

from backend.archive.models import Instance
from backend.imaging.masks import canonical_json
from backend.jobs.models import Run
from backend.reading.models import Case
from backend.store import store


def case_facts(case: Case) -> dict[str, Any]:
    """Whose case it is, under which protocol, and which images it has; large things as blobs."""
    return {
        "project": case.project.code,
        "subject": case.subject.pseudonym,
        "study_date": case.study_date.isoformat() if case.study_date else None,
        "protocol_blob": _kept(_protocol(case)),
        "images": _kept(_images(case)),
    }


def run_facts(run: Run, scores: dict[str, float]) -> dict[str, Any]:
    """The model by name, version and notice, and how its run went."""
    return {
        "name": run.model.name,
        "version": run.model.version,
        "notice": run.model.notice,
        "attempt": run.attempt,
        "worker": run.leased_by,
        "queued": run.created.isoformat(),
        "finished": run.finished.isoformat() if run.finished else None,
        "timings": {str(name): value for name, value in run.timings.items()},
        "parameters": run.parameters,
        "scores": scores,
    }


def _kept(value: Any) -> str:
    return store().put(canonical_json(value), compress=True)


def _protocol(case: Case) -> dict[str, Any]:
    protocol = case.protocol
    return {
        "code": protocol.code,
        "version": protocol.version,
        "name": protocol.name,
        "design": protocol.design,
        "definition": protocol.definition,
    }


def _images(case: Case) -> dict[str, Any]:
    uids = case.grid.sop_uids
    found = Instance.objects.filter(series_id=case.series_id, sop_uid__in=uids)
    blobs = dict(found.values_list("sop_uid", "blob"))
    return {
        "study_uid": case.study_uid,
        "series_uid": case.series_uid,
        "grid": case.grid.to_json(),
        "instances": [[uid, blobs.get(uid, "")] for uid in uids],
    }
