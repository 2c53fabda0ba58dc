import uuid

import django.db.models.deletion
from django.db import migrations, models

DOORS = [
    ("receive", "Receive"),
    ("upload", "Upload"),
    ("stow", "Stow"),
    ("dimse", "Dimse"),
    ("pull", "Pull"),
]


class Migration(migrations.Migration):
    dependencies = [
        ("archive", "0003_content_check"),
    ]

    operations = [
        migrations.CreateModel(
            name="Source",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("door", models.CharField(choices=DOORS, max_length=16)),
                ("name", models.CharField(max_length=120)),
                ("deidentify", models.BooleanField(default=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={"ordering": ("door", "name")},
        ),
        migrations.AddConstraint(
            model_name="source",
            constraint=models.UniqueConstraint(
                fields=("door", "name"), name="one_source_of_a_name_by_a_door"
            ),
        ),
        migrations.AddField(
            model_name="receipt",
            name="origin",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="receipts",
                to="archive.source",
            ),
        ),
        migrations.AddField(
            model_name="receipt",
            name="deidentified",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="keptaside",
            name="sealed",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="keptaside",
            name="review",
            field=models.CharField(
                blank=True,
                choices=[
                    ("waiting", "Waiting"),
                    ("released", "Released"),
                    ("discarded", "Discarded"),
                ],
                max_length=16,
            ),
        ),
    ]
