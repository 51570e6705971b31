"""Mooring: a browser admin panel for libvirt and Ceph clusters."""

__version__ = "0.1.0"
