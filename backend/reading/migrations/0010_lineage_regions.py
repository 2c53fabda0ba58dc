"""Where nodes came from, what was measured by hand, and what could not be read."""

import uuid

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Lineage of nodes, axes measured by hand, and parts of the images that cannot be read."""

    dependencies = [
        ("reading", "0009_side_level"),
    ]

    operations = [
        migrations.CreateModel(
            name="NotAssessable",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("region", models.UUIDField()),
                (
                    "reason",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("streaks", "Streaks"),
                            ("cut_off", "Cut off"),
                            ("motion", "Motion"),
                            ("noise", "Noise"),
                            ("other", "Other"),
                        ],
                        default="",
                        max_length=16,
                    ),
                ),
                ("slices", models.JSONField(blank=True, default=list)),
                ("voxels", models.PositiveIntegerField(default=0)),
            ],
            options={
                "ordering": ("id",),
            },
        ),
        migrations.RemoveConstraint(
            model_name="nodestate",
            name="decision_is_known",
        ),
        migrations.AddField(
            model_name="nodestate",
            name="manual",
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="nodestate",
            name="merged_into",
            field=models.UUIDField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="nodestate",
            name="parents",
            field=models.JSONField(blank=True, default=list),
        ),
        migrations.AddField(
            model_name="nodeversion",
            name="merged_into",
            field=models.UUIDField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="nodeversion",
            name="parents",
            field=models.JSONField(blank=True, default=list),
        ),
        migrations.AlterField(
            model_name="nodestate",
            name="decision",
            field=models.CharField(
                choices=[
                    ("undecided", "undecided"),
                    ("accepted", "accepted"),
                    ("rejected", "rejected"),
                    ("reshaped", "reshaped"),
                    ("added", "added"),
                    ("merged", "merged into another"),
                ],
                default="undecided",
                max_length=16,
            ),
        ),
        migrations.AlterField(
            model_name="nodeversion",
            name="decision",
            field=models.CharField(
                choices=[
                    ("undecided", "undecided"),
                    ("accepted", "accepted"),
                    ("rejected", "rejected"),
                    ("reshaped", "reshaped"),
                    ("added", "added"),
                    ("merged", "merged into another"),
                ],
                default="undecided",
                max_length=16,
            ),
        ),
        migrations.AddConstraint(
            model_name="nodestate",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "decision__in",
                        ["undecided", "accepted", "rejected", "reshaped", "added", "merged"],
                    )
                ),
                name="decision_is_known",
            ),
        ),
        migrations.AddField(
            model_name="notassessable",
            name="reading",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="not_assessable",
                to="reading.reading",
            ),
        ),
        migrations.AddConstraint(
            model_name="notassessable",
            constraint=models.UniqueConstraint(
                fields=("reading", "region"), name="one_row_per_region"
            ),
        ),
        migrations.AddConstraint(
            model_name="notassessable",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("reason__in", ["", "streaks", "cut_off", "motion", "noise", "other"])
                ),
                name="why_not_assessable_is_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="notassessable",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("voxels", 0), models.Q(("reason", ""), _negated=True), _connector="XOR"
                ),
                name="a_region_has_a_reason",
            ),
        ),
        migrations.RunSQL(
            "create trigger reading_not_assessable_final "
            "before insert or update or delete on reading_notassessable "
            "for each row execute function reading_node_state_final()",
            "drop trigger reading_not_assessable_final on reading_notassessable",
        ),
    ]
