"""Addresses of what is done to an account."""

from django import template
from django.urls import reverse

from panel.accounts.models import User

register = template.Library()


@register.simple_tag
def act_url(account: User, what: str) -> str:
    """The dialog of an action on an account ("disable", "password", …)."""
    return reverse(f"users:{what}", args=[account.pk])
