"""Prints the last lines of `make up`: what a person can paste to set and get a key. Reads from `holdfast endpoints`.

The password goes through the environment: everybody on this host can read a process's arguments.
"""

from __future__ import annotations

import json
import shlex
import subprocess


def main() -> None:
    answer = subprocess.check_output(["holdfast", "endpoints", "local", "--json", "--show-password"], text=True)
    found = json.loads(answer)
    host, port = found["leader"]["forward"].split(":")
    redis_cli = f"redis-cli -h {host} -p {port} --user {found['user']}"
    print("Try it:\n")
    print(f"  export REDISCLI_AUTH={shlex.quote(found['password'])}")
    print(f"  {redis_cli} SET greeting hello\n  {redis_cli} GET greeting")


if __name__ == "__main__":
    main()
