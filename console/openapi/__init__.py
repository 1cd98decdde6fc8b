"""The OpenAPI document of every machine-readable address: DRF's views and the lane alike.

`structs`: schemas from structs, and what is answered. `items`: what a sender writes, from the lane's own structs.
`operations`: each address, written by hand. `views`: /api/schema and /api/docs. tests/test_openapi.py holds it against
the URL conf and against real answers.
"""
