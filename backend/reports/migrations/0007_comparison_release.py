"""A comparison of models names the release whose consensus it is held against."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("reports", "0006_releases_final"),
    ]

    operations = [
        migrations.AddField(
            model_name="modelcomparison",
            name="release",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="reports.release",
            ),
        ),
    ]
