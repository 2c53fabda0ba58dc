"""Which model pre-segments a protocol's new cases, as a setting whose every change stays."""

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

DENY = """
create trigger reading_write_once before update or delete on reading_protocolmodel
  for each row execute function reading_deny();
"""
ALLOW = "drop trigger reading_write_once on reading_protocolmodel;"


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0003_model_verification"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("reading", "0012_newer_proposal"),
    ]

    operations = [
        migrations.CreateModel(
            name="ProtocolModel",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("reason", models.TextField(blank=True)),
                ("created", models.DateTimeField(auto_now_add=True)),
                (
                    "chosen_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "model",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="jobs.modelversion",
                    ),
                ),
                (
                    "protocol",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="models",
                        to="reading.protocol",
                    ),
                ),
            ],
            options={"ordering": ("-created",)},
        ),
        migrations.RunSQL(DENY, ALLOW),
    ]
