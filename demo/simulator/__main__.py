import sys

from demo.simulator.main import main

sys.exit(main(sys.argv[1:]))
