"""Shared by the Python tools: runs the product on real servers, and computes what its tables must contain.

    lakehouse.py   the servers, workspaces on them, and the programs of the product
    topics.py      topics of Kafka: sending, reading, groups
    cluster.py     a cluster of brokers: killed leaders, truncated logs, hanging transactions
    wire_proxy.py  a proxy that flips bits in what brokers deliver
    data.py        records to send, by a seed
    oracle.py      what the tables must hold, worked out from docs/contract.md alone
    readers.py     the tables as Python deltalake, DuckDB and Polars see them
    checks.py      the tables against the oracle
    rest.py        the REST answers against the oracle
    machine.py     the machine that figures were measured on
    memory.py      how much memory the speed layer may occupy

The end-to-end tests and the tools in scripts/chaos, scripts/soak and scripts/bench import it; it imports none of them,
nor do they import each other (test_rooms.py). venv.sh sets the environment in which Python finds all of them.
"""

import os

# The servers are on this machine, so no proxy is used for them.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
