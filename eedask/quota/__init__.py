"""One quota for all workers of a cluster: requests at once, and a second.

In go the ceiling that the user states and the workers' counts of their requests.
Out come slots: whoever holds one may send one request now.
The scheduler's side (owner, adaptive) and the workers' (leases, share, limiter) meet in messages.
Runs import it; it imports errors and arguments only.
"""
