"""What a policy would have done: the past played again through the same actions, on rows in memory."""
