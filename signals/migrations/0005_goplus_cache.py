from django.db import migrations


class Migration(migrations.Migration):
    """Revision 005 made goplus_cache, which is not this application's table."""

    dependencies = (("signals", "0004_event_refinement"),)
    operations = ()
