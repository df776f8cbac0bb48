"""A small EC2 on this machine: API (moto), fabric (network), machines (systemd-nspawn), metadata, volumes, images."""
