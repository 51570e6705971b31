"""Duties of a user (change the password, add a second factor) and the policy of all accounts."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="AccountPolicy",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "second_factor",
                    models.CharField(
                        choices=[
                            ("optional", "Optional for everybody"),
                            ("administrators", "Required for administrators"),
                            ("everyone", "Required for everybody"),
                        ],
                        default="optional",
                        max_length=20,
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="user",
            name="must_change_password",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="user",
            name="second_factor_due",
            field=models.BooleanField(default=False),
        ),
    ]
