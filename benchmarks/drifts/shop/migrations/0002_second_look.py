from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]

    operations = [
        migrations.AlterField("product", "sku", models.CharField(max_length=12, unique=True)),
        migrations.AlterField("product", "stock", models.PositiveIntegerField(db_default=0)),
        migrations.RenameField("voucher", "until", "expires"),
        migrations.AlterField("voucher", "expires", models.DateField(null=True)),
        migrations.RemoveField("product", "colour"),
    ]
