"""Every column that names blobs is registered: a walk over the fields of all models."""

from __future__ import annotations

from django.apps import apps
from django.db.models import BinaryField, CharField, Field, JSONField

from backend.store.references import columns

HASH_LENGTH = 64
# Columns that could hold the name of a blob and hold none that no registered column holds. Whoever
# adds one says here what is in it, or registers it.
NO_BLOBS = {
    "a hash of something that is no blob, or the hash of a mask that `Mask` names": """
        accounts.ApiToken.digest accounts.WorkerToken.digest jobs.RunAttempt.lease_digest
        archive.Series.geometry_hash reading.Case.geometry_hash reading.Subject.key
        archive.UploadedFile.key reading.Step.body_hash reports.Export.mask_hash
        audit.ChainHead.hash audit.Event.hash audit.Event.previous
        jobs.ModelVersion.sha256 reports.Record.head reports.Record.sha256
    """,
    "a name, a UID, a code or words": """
        accounts.User.timezone
        archive.Instance.sop_class_uid archive.Instance.sop_uid archive.Instance.transfer_syntax
        archive.KeptAside.series_uid archive.KeptAside.sop_uid
        archive.Series.body_part archive.Series.frame_of_reference_uid archive.Series.uid
        archive.Study.accession_number archive.Study.study_id archive.Study.uid
        audit.ChainHead.chain audit.Event.action audit.Event.chain audit.Event.subject_id
        jobs.Run.chain jobs.Run.series_uid jobs.Run.study_uid
        reading.Case.series_uid reading.Case.study_uid
        reports.Record.chain reports.Record.label
        reports.RecordEvent.action reports.RecordEvent.subject_id
    """,
    "measures, settings and answers; masks by hashes that `Mask` names": """
        accounts.User.keys
        archive.Instance.geometry archive.Instance.metadata archive.Instance.pixels
        archive.Series.grid archive.Series.image_type archive.Transfer.refusals
        archive.UploadedFile.counts archive.UploadedFile.kept
        audit.NewsItem.payload
        jobs.ModelVersion.checked jobs.ModelVersion.manifest
        jobs.Run.metrics jobs.Run.parameters jobs.Run.result
        jobs.Run.timings jobs.RunAttempt.result jobs.WorkerSession.facts
        jobs.WorkerSession.gauge
        reading.Case.exclusions reading.Case.facts reading.Case.grid_json
        reading.Case.midline
        reading.Change.answer reading.Change.body reading.Change.facts reading.Change.states
        reading.Cluster.box reading.Cluster.first_nodes reading.Cluster.measures
        reading.Cluster.second_nodes reading.Comparison.facts reading.Consensus.facts
        reading.ConsensusNode.impressions reading.ConsensusNode.measures
        reading.ConsensusSignature.record reading.Discrepancy.geometry
        reading.Discrepancy.triggers reading.Evidence.details reading.Node.box
        reading.NodeState.manual reading.NodeState.measures reading.NodeState.parents
        reading.NodeVersion.measures reading.NodeVersion.parents reading.NotAssessable.slices
        reading.Project.auto_assign
        reading.Protocol.definition reading.Reading.resume reading.Reading.seen
        reading.ReferenceLabel.evidence reading.Signature.record reading.Step.answer
        reports.Export.verification reports.ModelComparison.cases
        reports.ModelComparison.result reports.Release.manifest reports.Report.manifest
        reports.Training.plan reports.TrainingPoint.figures
    """,
}
SAID = {name for names in NO_BLOBS.values() for name in names.split()}


def could_name_a_blob(field: Field) -> bool:
    if isinstance(field, CharField):
        return field.max_length == HASH_LENGTH and not field.choices
    return isinstance(field, (JSONField, BinaryField))


def candidates() -> set[str]:
    return {
        f"{model._meta.label}.{field.name}"
        for model in apps.get_models()
        if model.__module__.startswith("backend.")
        for field in model._meta.get_fields()
        if isinstance(field, Field) and field.concrete and could_name_a_blob(field)
    }


def test_every_column_that_could_name_a_blob_is_registered_or_said_to_name_none() -> None:
    registered = {column.label for column in columns}
    forgotten = candidates() - registered - SAID
    assert not forgotten, (
        f"{sorted(forgotten)}: does it name blobs of the content store? Then register it in its "
        "room's ready() (backend.store.references), or verify_store takes them for orphans. If "
        "not, say in NO_BLOBS what it holds."
    )


def test_nothing_is_said_of_columns_that_are_gone() -> None:
    everything = {
        f"{model._meta.label}.{field.name}"
        for model in apps.get_models()
        for field in model._meta.get_fields()
    }
    assert {column.label for column in columns} - everything == set()
    assert SAID - candidates() == set()
    assert SAID & {column.label for column in columns} == set()
