"""What talks to Ceph. A leaf: nothing of Django, Celery or the panel is imported here."""
