"""The lab: three real hypervisor nodes on one machine, each in namespaces of its own. See README.md."""
