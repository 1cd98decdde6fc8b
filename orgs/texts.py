"""What a text may be, whoever sent it: the one place of the limits that all ways in share."""

import re

BAD_TEXT = re.compile("[\x00\ud800-\udfff]")  # PostgreSQL keeps no NUL, UTF-8 no half of a surrogate pair
ID_LENGTH = 128  # characters of a sender's own id of an item
NAME_LENGTH = 200  # of what identifies or names anything, and of every text that says nothing else
TEXT_LENGTH = 2000  # of prose and links
