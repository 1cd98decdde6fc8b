"""Reading alerts and pushes, and acting on them: parse, one call, render.

`shapes`: what an answer holds, and how rows become it. `reads`: GET. `acts`: what a person does with an alert.
`pushes`: pushes, replay, test push.
"""
