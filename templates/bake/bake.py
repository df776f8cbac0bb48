#!/usr/bin/python3
"""Makes of this machine what an image is taken of: with packages, checked, and without what is this machine's alone.

Then it powers the machine off. The last line on the console is the verdict, for which `holdfast images bake` waits.
"""

import glob
import json
import os
import shutil
import subprocess
import sys
import time

FOLDER = "/usr/local/lib/holdfast"
WANTED = f"{FOLDER}/bake.json"
sys.path.insert(0, FOLDER)
# Part of the node program.
import packages  # noqa: E402

RETRY = 3.0

WRITERS = (
    "syslog.socket",
    "rsyslog.service",
    "systemd-random-seed.service",
)
"""What would write, at the latest when it is stopped, what was removed here."""

OWN = (
    "/etc/ssh/ssh_host_*",
    "/etc/netplan/50-cloud-init.yaml",
    "/etc/network/interfaces.d/50-cloud-init",
    "/var/lib/dbus/machine-id",
    "/var/lib/dhcp/*",
    "/var/lib/systemd/random-seed",
    "/var/lib/systemd/credential.secret",
    "/var/lib/cloud/instance*",
    "/var/log/journal/*",
    "/root/.ssh/authorized_keys",
    "/root/.bash_history",
    "/home/*/.ssh/authorized_keys",
    "/home/*/.bash_history",
    # What is not one machine's, but of this day.
    "/var/lib/apt/lists/*",
    "/var/cache/apt/*.bin",
    "/var/cache/apt/archives/*.deb",
)
"""What a second machine of the image must not have too. Each is made anew at a boot that lacks it."""

TOOLS = (
    "/etc/systemd/system/holdfast-bake.service",
    "/usr/local/sbin/holdfast-bake",
    f"{FOLDER}/packages.py",
    f"{FOLDER}/__pycache__",
    WANTED,
)


class Unfit(Exception):
    """No image may be taken of this machine."""


class Progress:
    """Of the installation, on the console. A mirror may come back; a version that is gone does not."""

    def __init__(self, patience):
        self._until = time.monotonic() + patience
        self._said = ""

    def does(self, sentence):
        if sentence != self._said:
            self._said = sentence
            print(f"bake: {sentence}", flush=True)

    tries = does

    def waits(self, held):
        self.does(str(held))
        if isinstance(held, packages.Lacking) or time.monotonic() > self._until:
            raise held
        time.sleep(RETRY)


def check(wanted):
    wrong = packages.differing(wanted["packages"])
    for unit in wanted["units"]:
        for question, answers in (("is-active", ("inactive", "failed")), ("is-enabled", ("masked", "disabled"))):
            done = subprocess.run(["systemctl", question, unit], stdout=subprocess.PIPE, text=True)
            if done.stdout.strip() not in answers:
                wrong.append(f"{unit} is {done.stdout.strip()}, expected {answers[0]}")
    if wrong:
        raise Unfit("; ".join(wrong))


def forget():
    """Take away what is this machine's alone."""
    subprocess.run(["systemctl", "--quiet", "stop", *WRITERS], stderr=subprocess.DEVNULL)
    # From here on the journal is in memory.
    subprocess.run(["journalctl", "--quiet", "--relinquish-var"])
    subprocess.run(["cloud-init", "clean", "--logs"], stdout=subprocess.DEVNULL, check=True)
    for pattern in (*OWN, *TOOLS):
        for path in glob.glob(pattern):
            remove(path)
    for folder, _, names in os.walk("/var/log"):
        for path in (os.path.join(folder, name) for name in names):
            if not os.path.islink(path):
                os.truncate(path, 0)
    # Empty, and not gone: systemd writes one at the first boot of each machine.
    os.truncate("/etc/machine-id", 0)
    left = [path for pattern in OWN for path in glob.glob(pattern) if not os.path.islink(path)]
    if left or os.path.getsize("/etc/machine-id"):
        raise Unfit(f"still there: {', '.join(left) or '/etc/machine-id'}")


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        os.unlink(path)


def main():
    with open(WANTED) as stream:
        wanted = json.load(stream)
    try:
        packages.install(wanted["packages"], Progress(wanted["patience"]))
        check(wanted)
        print("bake: removes what is this machine's alone", flush=True)
        forget()
        os.sync()
        verdict = "done"
    except Exception as error:
        verdict = f"failed: {' '.join(str(error).split()) or repr(error)}"
    # Begun anew: the console may be in the middle of a line of the kernel's.
    print(f"\n{wanted['marker']} {verdict}", flush=True)
    subprocess.run(["systemctl", "poweroff", "--no-block"])


main()
