"""Reading alerts and pushes, and acting on them (contracts.md "Reading and acting"): parse, one call, render.

`shapes`: rows -> what the contract says. `reads`: GET. `acts`: what a person does with an alert. `pushes`: pushes,
replay, test push.
"""
