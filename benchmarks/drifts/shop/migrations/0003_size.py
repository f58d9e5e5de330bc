from django.db import migrations, models

from signals.operations import CreateEnumIfMissing


class Migration(migrations.Migration):
    dependencies = [("shop", "0002_second_look")]

    operations = [
        CreateEnumIfMissing("shop_size", ["small", "large"]),
        migrations.AddField("voucher", "note", models.TextField(default="")),
    ]
