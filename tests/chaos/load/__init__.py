"""An app that the panel under test has beside its own: many, long or chatty tasks, and a clock that can be set."""
