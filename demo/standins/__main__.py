import sys

from demo.standins.server import main

sys.exit(main(sys.argv[1:]))
