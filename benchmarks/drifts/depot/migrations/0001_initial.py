from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    operations = [
        migrations.CreateModel(
            "Bin",
            [
                ("id", models.BigAutoField(primary_key=True)),
                ("code", models.CharField(max_length=20, unique=True)),
                ("note", models.TextField(default="", db_comment="for the picker")),
            ],
        ),
        migrations.CreateModel(
            "Item",
            [
                ("id", models.AutoField(primary_key=True)),
                ("name", models.CharField(max_length=200)),
                ("state", models.CharField(max_length=10, default="new")),
                ("amount", models.IntegerField(default=0)),
                ("bin", models.ForeignKey("depot.Bin", models.CASCADE)),
            ],
            {
                "indexes": [
                    models.Index(fields=["name"], name="item_name"),
                    models.Index(fields=["name", "amount"], name="item_name_amount"),
                ]
            },
        ),
    ]
