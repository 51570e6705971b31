"""What VEs are found by, with that of the VEs that are there already."""

import django.db.models.deletion
from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def fill(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    words = apps.get_model("infrastructure", "VEWords")
    rows = []
    for ve in apps.get_model("infrastructure", "VE").objects.only("name", "uuid", "addresses", "nics").iterator():
        found = dict.fromkeys(ve.addresses)
        for nic in ve.nics:
            found |= dict.fromkeys([nic.get("mac") or "", *nic.get("addresses", [])])
        addresses = "\n".join(address for address in found if address)
        rows.append(words(ve_id=ve.pk, names=f"{ve.name}\n{ve.uuid}".lower(), addresses=addresses.lower()))
    words.objects.bulk_create(rows, batch_size=500)


class Migration(migrations.Migration):
    dependencies = [("infrastructure", "0003_console_sessions")]

    operations = [
        migrations.CreateModel(
            name="VEWords",
            fields=[
                (
                    "ve",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="words",
                        serialize=False,
                        to="infrastructure.ve",
                    ),
                ),
                ("names", models.TextField(help_text="its name, then its UUID")),
                ("addresses", models.TextField(help_text="IP and MAC addresses")),
            ],
        ),
        migrations.RunPython(fill, migrations.RunPython.noop, elidable=True),
    ]
