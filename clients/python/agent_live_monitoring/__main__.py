"""python -m agent_live_monitoring: see `cli`."""

import sys

from agent_live_monitoring.cli import main

sys.exit(main(sys.argv[1:]))
