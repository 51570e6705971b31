"""What talks to target servers. A leaf: nothing of Django, Celery or the panel is imported here."""
