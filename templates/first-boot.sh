#!/bin/sh
# What a machine lacks after its image: packages, and the node program. Tries until it has them: cloud-init would give up
# after the first try, and a machine that boots while its zone is cut off would stay dead.
{% if packages %}
until apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
    --no-install-recommends install {{ packages | join(" ") }}; do
    sleep 5
done
{% endif %}
# The node program's own user: no other service has it.
id holdfast >/dev/null 2>&1 || useradd --system --user-group --home-dir /nonexistent --shell /usr/sbin/nologin holdfast ||
    exit 1
/usr/local/sbin/holdfast-fetch || exit 1
systemctl enable --now --no-block holdfast.target
