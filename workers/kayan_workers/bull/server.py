"""One Redis, and how to reach it: a single server, a Sentinel group or a cluster, with the same calls for each.

The rest of the library asks a Server for connections and runs scripts through it; nobody else knows what kind it is.
"""
