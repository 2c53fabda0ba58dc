"""What workers said of their machines, once a second and a half, was kept as news. No longer."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = (("audit", "0003_number_in_turn"),)
    operations = (
        migrations.RunSQL(
            "delete from audit_newsitem where type = 'run.gauge'", migrations.RunSQL.noop
        ),
    )
