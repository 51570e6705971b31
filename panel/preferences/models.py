"""How each user wants the lists: which columns, and which views were saved under a name."""

from django.conf import settings
from django.db import models

LONGEST_NAME = 60
LONGEST_QUERY = 2000


class ColumnChoice(models.Model):
    """The columns of one list as one user wants them: keys in order. Without a row the list's own default holds."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    table = models.CharField(max_length=60)
    columns = models.JSONField(default=list, help_text='keys in order: ["status", "name", "cpu"]')

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "table"], name="one_choice_a_table")]

    def __str__(self) -> str:
        return f"columns of {self.table} for {self.user}"


class SavedView(models.Model):
    """A list's filters, sort and columns under a name. A shared one is listed for everybody."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_views")
    table = models.CharField(max_length=60)
    name = models.CharField(max_length=LONGEST_NAME)
    query = models.CharField(max_length=LONGEST_QUERY, blank=True, help_text="part of the address behind the ?")
    shared = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name", "pk"]
        constraints = [models.UniqueConstraint(fields=["owner", "table", "name"], name="view_name_once_a_user")]
        indexes = [models.Index(fields=["table", "shared"])]

    def __str__(self) -> str:
        return self.name
