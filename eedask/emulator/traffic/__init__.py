"""What happens to requests on their way: quotas, latency, faults, tokens.

In goes a request that has just come.
Out comes leave to go on, a refusal in Earth Engine's words, or damage done to the answer.
server imports it; it knows nothing of what is asked.
"""
