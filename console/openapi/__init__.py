"""The OpenAPI document of every machine-readable address, written by hand: DRF's views and the lane alike.

`items`: what a sender writes, taken from the lane's own structs. `shapes`: what is answered. `writing` and
`reading`: the operations. `views`: /api/schema and /api/docs. tests/test_openapi.py holds it against the URL conf and
against real answers.
"""
