"""Exports are of a signed reading or of a consensus; a consensus can be a table too."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("reading", "0005_settling"), ("reports", "0001_initial")]

    operations = [
        migrations.AddField(
            "export",
            "consensus",
            models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="exports",
                to="reading.consensus",
            ),
        ),
        migrations.AddField(
            "export", "sidecar_blob", models.CharField(blank=True, max_length=64, default=""), False
        ),
        migrations.AlterField(
            "export",
            "reading",
            models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="exports",
                to="reading.reading",
            ),
        ),
        migrations.AlterField(
            "export",
            "format",
            models.CharField(
                choices=[
                    ("seg", "DICOM Segmentation"),
                    ("nifti", "NIfTI"),
                    ("csv", "Table (CSV)"),
                ],
                max_length=8,
            ),
        ),
        migrations.RemoveConstraint("export", "export_format_known"),
        migrations.AddConstraint(
            "export",
            models.CheckConstraint(
                condition=models.Q(format__in=["seg", "nifti", "csv"]), name="export_format_known"
            ),
        ),
        migrations.AddConstraint(
            "export",
            models.CheckConstraint(
                condition=models.Q(reading__isnull=True) ^ models.Q(consensus__isnull=True),
                name="an_export_is_of_one_thing",
            ),
        ),
        migrations.AddConstraint(
            "export",
            models.CheckConstraint(
                condition=~models.Q(format="csv") | models.Q(consensus__isnull=False),
                name="only_a_consensus_has_a_table",
            ),
        ),
    ]
