"""What is in the twin's machine images: a distribution's cloud image, without what needs hardware."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

INTERNET = "http://198.51.100.1:3142"
"""The only way out of the twin's networks for packages: a forward proxy for Debian mirrors, in each VPC's router."""

BASE_PACKAGES = (
    "systemd",
    "systemd-sysv",
    "libpam-systemd",
    "dbus",
    "udev",
    "cloud-init",
    "python3",
    "ca-certificates",
    "e2fsprogs",
    "iproute2",
    "iputils-ping",
    "libnss-myhostname",
    "netbase",
    "procps",
    "kmod",
    "sudo",
    "curl",
    "less",
    "unattended-upgrades",
)

SERVICE_PACKAGES = ("redis-server", "redis-sentinel", "redis-tools", "haproxy", "keepalived")
"""What a node needs beyond a cloud image; stock machines install the same at their first boot."""

PACKAGED_UNITS = ("redis-server.service", "redis-sentinel.service", "haproxy.service", "keepalived.service")
"""The distribution's own services: a baked image must not start them beside Holdfast's."""

POINTLESS_UNITS = (
    "cloud-init-hotplugd.socket",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty@tty1.service",
    "systemd-pstore.service",
)
"""Timers that would run at odd moments of a test, and services for hardware that a container has not."""

FILES = {
    # Machines have their address before they boot, and nobody answers DHCP: cloud-init would wait for that for up to
    # a minute. A client that is not executable does not exist for it.
    "usr/sbin/dhclient": "",
    "usr/sbin/dhcpcd": "",
    # Name look-ups fail at once instead of waiting for the name server of the machine that built the image.
    "etc/resolv.conf": "",
    # Empty: systemd writes one at the first boot, as in a cloud image.
    "etc/machine-id": "",
    # The last file wins: the building host's own proxy, if it has one, is in an earlier one.
    "etc/apt/apt.conf.d/zz-twin-internet": f'Acquire::http::Proxy "{INTERNET}";\nAcquire::Retries "3";\n',
    # cloud-init takes a machine for an EC2 instance, and then speaks IMDSv2 only, by the hypervisor's uuid.
    # A container's /sys cannot have one, so the data source is made to look here (see images.py).
    "etc/hypervisor/uuid": "ec2f0000-0000-4000-8000-000000000000\n",
    "etc/cloud/cloud.cfg.d/90_twin.cfg": """\
# The twin gives eth0 its address before the machine boots, as DHCP would.
datasource_list: [Ec2]
datasource: {Ec2: {strict_id: false}}
network: {config: disabled}
# No modules for what is not in the image: SSH, boot loader, partitions, locales.
cloud_init_modules: [seed_random, bootcmd, write-files, disk_setup, mounts, set_hostname, update_hostname,
  update_etc_hosts, ca-certs, users-groups]
cloud_config_modules: [apt-configure, ntp, timezone, runcmd]
cloud_final_modules: [package-update-upgrade-install, write-files-deferred, scripts-vendor, scripts-per-once,
  scripts-per-boot, scripts-per-instance, scripts-user, phone-home, final-message, power-state-change]
""",
}

EXCLUDED = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*")


@dataclass(frozen=True)
class Recipe:
    """How a root file system is made; the same recipe gives the same key."""

    suite: str
    packages: tuple[str, ...]
    disabled: tuple[str, ...]
    files: tuple[tuple[str, str], ...]
    base: str | None
    """Key of the recipe this one starts from, instead of from nothing."""

    @property
    def key(self) -> str:
        content = json.dumps([asdict(self), EXCLUDED], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]


def stock(suite: str) -> Recipe:
    """A distribution's cloud image."""
    return Recipe(suite, BASE_PACKAGES, POINTLESS_UNITS, tuple(FILES.items()), base=None)


def baked(suite: str) -> Recipe:
    """A cloud image with a node's packages already installed."""
    return Recipe(suite, SERVICE_PACKAGES, PACKAGED_UNITS, (), base=stock(suite).key)
