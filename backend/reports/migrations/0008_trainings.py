"""Trainings from frozen releases, and the points of their curves."""

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0004_training_runs"),
        ("reports", "0007_comparison_release"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Training",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("version", models.CharField(max_length=40)),
                ("plan", models.JSONField(default=dict)),
                ("weights", models.CharField(blank=True, default="", max_length=64)),
                ("looked_in", models.PositiveIntegerField(default=0)),
                ("fault", models.TextField(blank=True, default="")),
                ("created", models.DateTimeField(auto_now_add=True)),
                (
                    "asked_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "model",
                    models.OneToOneField(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="made_by",
                        to="jobs.modelversion",
                    ),
                ),
                (
                    "parent",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="trainings",
                        to="jobs.modelversion",
                    ),
                ),
                (
                    "release",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="trainings",
                        to="reports.release",
                    ),
                ),
                (
                    "run",
                    models.OneToOneField(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="training",
                        to="jobs.run",
                    ),
                ),
            ],
            options={
                "ordering": ("-created",),
            },
        ),
        migrations.CreateModel(
            name="TrainingPoint",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "curve",
                    models.CharField(
                        choices=[("training", "Training"), ("validation", "Validation")],
                        max_length=12,
                    ),
                ),
                ("step", models.PositiveIntegerField()),
                ("seconds", models.FloatField()),
                ("loss", models.FloatField()),
                ("figures", models.JSONField(blank=True, default=dict)),
                (
                    "training",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="points",
                        to="reports.training",
                    ),
                ),
            ],
            options={
                "ordering": ("step",),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("training", "curve", "step"), name="one_point_per_curve_and_step"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("curve__in", ["training", "validation"])),
                        name="curve_is_known",
                    ),
                ],
            },
        ),
    ]
