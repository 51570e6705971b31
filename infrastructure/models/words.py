"""What Virtual Environments are found by."""

from django.db import models

from infrastructure.models.ve import VE


class VEWords(models.Model):
    """The words of a VE in lower case, one below the other, apart from its wide row that changes every few seconds:
    a part of a word is looked for in all of them."""

    ve = models.OneToOneField(VE, primary_key=True, on_delete=models.CASCADE, related_name="words")
    names = models.TextField(help_text="its name, then its UUID")
    addresses = models.TextField(help_text="IP and MAC addresses")

    def __str__(self) -> str:
        return self.names.partition("\n")[0]
