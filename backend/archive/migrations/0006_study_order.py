from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("archive", "0005_derived"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="study",
            name="archive_stu_date_3b8d50_idx",
        ),
        migrations.AddIndex(
            model_name="study",
            index=models.Index(fields=["-date", "uid"], name="studies_as_listed"),
        ),
    ]
