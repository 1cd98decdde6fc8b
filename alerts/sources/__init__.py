"""Chat products: what they post to a webhook endpoint, read into room activity; and what sources send, watched.

qontak.py   a payload -> facts, or why it was not understood; pure
sample.py   a payload without anything personal; pure
inbox.py    deliveries stored, then worked in batches
traffic.py  counts by the minute, rejected items
rules.py    when a source is silent, or too much of it is refused; pure
watch.py    silent sources and rejected items become alerts
health.py   what every source sent lately, as figures
"""
