"""More is left out of what who may not upload is shown: what was kept ready is made anew."""

from __future__ import annotations

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def forget(apps: Apps, schema: BaseDatabaseSchemaEditor) -> None:
    """Forget the metadata without names; they are made when next asked for."""
    series = apps.get_model("archive", "Series")
    series.objects.using(schema.connection.alias).exclude(metadata_blob_unnamed="").update(
        metadata_blob_unnamed=""
    )


class Migration(migrations.Migration):
    """No column changes."""

    dependencies = [("archive", "0008_remotes")]

    operations = [migrations.RunPython(forget, migrations.RunPython.noop)]
