"""A run may train: no mask of one series, but weights, sealed by their attempt."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0003_model_verification"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="run",
            name="succeeded_run_has_mask_and_result",
        ),
        migrations.AddField(
            model_name="runattempt",
            name="weights_blob",
            field=models.CharField(blank=True, default="", max_length=64),
        ),
        migrations.AlterField(
            model_name="run",
            name="kind",
            field=models.CharField(
                choices=[
                    ("presegment", "presegment"),
                    ("prompt", "prompt"),
                    ("trial", "trial"),
                    ("train", "train"),
                ],
                max_length=20,
            ),
        ),
        migrations.AddConstraint(
            model_name="run",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state", "succeeded"), _negated=True),
                    models.Q(
                        models.Q(
                            models.Q(("mask_blob", ""), _negated=True),
                            ("kind__in", ["prompt", "train"]),
                            _connector="OR",
                        ),
                        ("result__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="succeeded_run_has_mask_and_result",
            ),
        ),
    ]
