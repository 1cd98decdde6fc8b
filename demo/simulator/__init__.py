"""Simulated traffic: conversations that fail, sent over HTTP like a stranger would.

Imports nothing of the service: what it knows is in the contract, and in `demo.json` where there is one.
"""
