from django.db import migrations

from benchmarks.peers.parts import declared


class Migration(migrations.Migration):
    atomic = False  # for what is built concurrently
    dependencies = [("parts", "0001_part")]
    operations = declared.operations
