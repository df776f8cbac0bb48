"""The node program: `python3 node.pyz COMMAND`, run by the machine's systemd units."""

import sys

from holdfast_node.commands import main

sys.exit(main(sys.argv[1:]))
