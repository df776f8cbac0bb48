#!/bin/sh
# What a machine lacks after its image: the node program, and what that installs. systemd starts it until it succeeds:
# cloud-init would give up after the first try, and a machine that boots while its zone is cut off would stay dead.
# The node program's own user: no other service has it.
id holdfast >/dev/null 2>&1 || useradd --system --user-group --home-dir /nonexistent --shell /usr/sbin/nologin holdfast ||
    exit 1
/usr/local/sbin/holdfast-fetch || exit 1
/usr/bin/python3 /usr/local/lib/holdfast/node.pyz install || exit 1
systemctl enable --now --no-block holdfast.target
