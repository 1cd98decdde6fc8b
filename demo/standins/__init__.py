"""Stand-ins for the external services: a real HTTP server that keeps to `docs/contracts/`.

notification-service today. Production code never knows that it talks to a stand-in.
"""
