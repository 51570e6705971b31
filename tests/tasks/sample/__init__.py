"""An app whose jobs a real worker runs in the tests."""
