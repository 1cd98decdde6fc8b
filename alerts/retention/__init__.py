"""Old rows go, what an org or a person asked to be forgotten goes, what is held stays.

`registry.py` declares each table once; `purge` deletes what is old, `erase_room` and `erase_person` what is asked for.
"""
