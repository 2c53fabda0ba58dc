"""Reports are of a case, made by the work process, in five files; records come from elsewhere."""

import uuid

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

STATES = [
    ("queued", "Queued"),
    ("running", "Running"),
    ("ready", "Ready"),
    ("failed", "Failed"),
]
# Reports of before are kept as they were made: a page and a document, told of one reading.
KEEP = """
update reports_report
   set files = jsonb_build_object('html', html_blob, 'document', document_blob),
       state = 'ready', progress = 1, sealed = false, finished = created, touched = created
"""
DENY = """
create trigger audit_deny before update or delete on reports_recordevent
  for each row execute function audit_deny();
create trigger audit_deny_truncate before truncate on reports_recordevent
  for each statement execute function audit_deny();
"""
ALLOW = """
drop trigger audit_deny_truncate on reports_recordevent;
drop trigger audit_deny on reports_recordevent;
"""


class Migration(migrations.Migration):
    """Case reports, and imported records whose events nobody alters."""

    dependencies = (
        ("reports", "0002_consensus_exports"),
        ("audit", "0003_number_in_turn"),
    )
    operations = (
        migrations.CreateModel(
            name="Record",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("chain", models.CharField(max_length=64, unique=True)),
                ("label", models.CharField(max_length=64)),
                ("position", models.BigIntegerField()),
                ("head", models.CharField(max_length=64)),
                ("sha256", models.CharField(max_length=64)),
                ("imported", models.DateTimeField(auto_now_add=True)),
            ],
            options={"ordering": ("imported",)},
        ),
        migrations.CreateModel(
            name="RecordEvent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("position", models.BigIntegerField()),
                ("action", models.CharField(max_length=64)),
                ("subject_id", models.CharField(db_index=True, max_length=64)),
                ("line", models.TextField()),
                (
                    "record",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="events",
                        to="reports.record",
                    ),
                ),
            ],
            options={"ordering": ("position",)},
        ),
        migrations.AddConstraint(
            model_name="recordevent",
            constraint=models.UniqueConstraint(
                fields=("record", "position"), name="one_imported_event_per_position"
            ),
        ),
        migrations.RunSQL(DENY, ALLOW),
        migrations.AddField("report", "files", models.JSONField(blank=True, default=dict)),
        migrations.AddField("report", "finished", models.DateTimeField(blank=True, null=True)),
        migrations.AddField("report", "message", models.TextField(blank=True)),
        migrations.AddField("report", "progress", models.FloatField(default=0.0)),
        migrations.AddField("report", "sealed", models.BooleanField(default=True)),
        migrations.AddField(
            "report", "state", models.CharField(choices=STATES, default="queued", max_length=8)
        ),
        migrations.AddField(
            "report",
            "touched",
            models.DateTimeField(auto_now_add=True, default=django.utils.timezone.now),
            preserve_default=False,
        ),
        migrations.AlterField("report", "created", models.DateTimeField(auto_now_add=True)),
        migrations.AlterField("report", "manifest", models.JSONField(blank=True, default=dict)),
        migrations.RunSQL(KEEP, migrations.RunSQL.noop),
        migrations.RemoveField("report", "document_blob"),
        migrations.RemoveField("report", "html_blob"),
        migrations.RemoveField("report", "reading"),
        migrations.AddConstraint(
            "report",
            models.CheckConstraint(
                condition=models.Q(state__in=["queued", "running", "ready", "failed"]),
                name="report_state_known",
            ),
        ),
        migrations.AddConstraint(
            "report",
            models.CheckConstraint(
                condition=~models.Q(state="ready") | ~models.Q(files={}),
                name="a_ready_report_has_files",
            ),
        ),
        migrations.AddConstraint(
            "report",
            models.CheckConstraint(
                condition=~models.Q(state="failed") | ~models.Q(message=""),
                name="a_failed_report_says_why",
            ),
        ),
    )
