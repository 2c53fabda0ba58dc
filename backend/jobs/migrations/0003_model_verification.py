"""Models are verified apart from being registered; one may be trusted, or tried; workers' gauges."""

from django.db import migrations, models
from django.db.models import F


def registered_were_verified(apps, schema_editor):
    """Until now a model was registered only when every hash matched."""
    versions = apps.get_model("jobs", "ModelVersion").objects.using(schema_editor.connection.alias)
    versions.update(verified=F("registered"))


class Migration(migrations.Migration):
    dependencies = [("jobs", "0002_prompts")]

    operations = [
        migrations.AddField("modelversion", "verified", models.DateTimeField(null=True)),
        migrations.AddField(
            "modelversion",
            "fault",
            models.TextField(blank=True, default=""),
            preserve_default=False,
        ),
        migrations.AddField("modelversion", "checked", models.JSONField(blank=True, default=dict)),
        migrations.AddField("modelversion", "checking", models.FloatField(null=True)),
        migrations.AddField("modelversion", "trusted", models.BooleanField(default=False)),
        migrations.AddField(
            "modelversion",
            "trust_reason",
            models.TextField(blank=True, default=""),
            preserve_default=False,
        ),
        migrations.AddField("workersession", "gauge", models.JSONField(blank=True, default=dict)),
        migrations.AlterField(
            "run",
            "kind",
            models.CharField(
                choices=[("presegment", "presegment"), ("prompt", "prompt"), ("trial", "trial")],
                max_length=20,
            ),
        ),
        migrations.RunPython(registered_were_verified, migrations.RunPython.noop),
        migrations.AddConstraint(
            "modelversion",
            models.CheckConstraint(
                condition=models.Q(("fault", ""), ("verified", None), _connector="OR"),
                name="verified_model_has_no_fault",
            ),
        ),
        migrations.AddConstraint(
            "modelversion",
            models.CheckConstraint(
                condition=models.Q(
                    ("trusted", False),
                    models.Q(("trust_reason", ""), _negated=True),
                    _connector="OR",
                ),
                name="trust_has_a_reason",
            ),
        ),
    ]
