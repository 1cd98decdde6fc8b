"""Simulated traffic: conversations that fail, sent over HTTP like a stranger would, through the Python client.

Imports nothing of the service: what it knows is in the contract, and in `demo.json` where there is one.
"""

import sys
from pathlib import Path

# The client of this checkout, as it stands here: nothing is installed.
sys.path.append(str(Path(__file__).resolve().parents[2] / "clients" / "python"))
