from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("archive", "0009_metadata_made_anew")]

    operations = [
        migrations.AddField(
            model_name="source",
            name="issuer",
            field=models.CharField(blank=True, default="", max_length=120),
            preserve_default=False,
        ),
    ]
