"""Drivers: the only code that talks to libvirt and opens SSH.  A leaf: imports nothing of the panel."""
