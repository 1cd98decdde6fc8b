"""The ingest lane: the machine-facing writes, one small ASGI app in front of Django.

A request is authenticated, and its body is capped while it is read. What comes together is then worked together: one
ordinary synchronous function in a thread decodes it, checks each item alone and calls `alerts.actions` once, in one
transaction. A 2xx is sent after COMMIT only.

    http.py    the ASGI app                                        request.py  headers, the body
    decode.py  bytes -> items, or one error for the whole request  keys.py     who calls, how often
    memory.py  keys and addresses that were found just now         bodies.py   what is being sent, within budgets
    check.py   one item -> accepted, or its error                  fields.py   ids spelled, texts cleaned and masked
    records.py what a run and a review must hold
    work.py    the synchronous function                            together.py  many requests, one transaction
    origins.py the pages of other origins that may send
    receipts.py  the signed endpoint                               webhooks.py  what chat products post
    tally.py   what passed, counted by the minute

Whole-request errors (`{"error": {"code", "message", "field"?}}`):

| status | code | when |
| --- | --- | --- |
| 400 | `not_json`, `bad_gzip`, `too_deep`, `duplicate_key`, `not_items`, `unknown_field` | the body cannot be read |
| 401 | `unauthenticated` | no, unknown, expired or revoked key; a receipt's signature does not hold |
| 403 | `missing_scope` | the key has not the scope `ingest`, or a client token is not for this |
| 403 | `origin_not_allowed` | a preflight from an origin that no source lists |
| 405 | `method_not_allowed` | not POST, nor a preflight |
| 408 | `too_slow` | the body did not arrive within 30 s; 10 s for a webhook or a receipt |
| 413 | `too_large`, `too_many_items` | over 2 MiB (webhook 256 KiB, receipts 64 KiB); over 1,000 items |
| 415 | `unsupported_type` | not application/json in UTF-8, or packed otherwise than with gzip |
| 429 | `rate_limited`, `too_much_at_once` | too many requests per minute, or bodies at one time (Retry-After) |
| 500 | `internal_error` | a fault of ours; sending the same again is safe |
| 503 | `overloaded`, `unavailable` | too many waiting; the database is away (Retry-After) |

Item errors (status `invalid` or `conflict` of that item alone): `invalid_item`, `missing_field`, `unknown_field`,
`unknown_org`, `too_long`, `too_old`, `in_the_future`, `bad_text`, `bad_number`, `id_conflict`,
`unknown_push`, and of a record `secret`, `too_deep`.
"""
