"""Models of what happens to requests around their computation: quotas, latency, faults, tokens.

In goes a request that has just arrived.
Out comes permission to go on, with a latency and perhaps a fault for its answer, or a refusal in
Earth Engine's words. `server` imports it. Nothing here looks at what a request asks for.
"""
