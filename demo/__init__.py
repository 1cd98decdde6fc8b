"""What a demo, a developer or a test needs around the service: stand-ins, simulated traffic, demo data."""
