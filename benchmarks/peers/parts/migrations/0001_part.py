from django.db import migrations, models

from benchmarks.peers.parts import declared


class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel(
            "Part",
            [
                ("id", models.BigAutoField(primary_key=True)),
                ("label", models.TextField()),
                ("amount", models.IntegerField()),
                ("made_at", models.DateTimeField()),
            ],
            options={"db_table": declared.table},
        ),
    ]
