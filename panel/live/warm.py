"""What the first page of a fresh web process must not wait for."""

from django.template.loader import get_template

from panel.live import registry


def compile_templates() -> None:
    """Compile the templates that topics declare; they are kept for the life of the process."""
    for topic in registry.declared():
        for name in topic.templates:
            get_template(name)
