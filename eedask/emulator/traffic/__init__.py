"""What requests meet before and after they are computed: quotas, latency, faults, tokens.

In goes a request that has just arrived.
Out comes permission to go on, a refusal in Earth Engine's words, or a fault for its answer.
`server` imports it; nothing here looks at what a request asks for.
"""
