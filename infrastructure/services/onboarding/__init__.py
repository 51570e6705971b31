"""What onboarding does on a node over SSH: packages, certificates, libvirt's settings; each asks the node first."""
