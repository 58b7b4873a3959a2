"""Multi-Paxos, free of input and output: the system under test.

Start with ``messages`` (what is said), then ``acceptor``, ``proposer``, ``learner`` (who says it when), ``replica`` (all
three in one process), ``log`` and ``gate`` (what must be durable before it is said), ``node`` (how a host runs an agent).
Nothing here reads a clock, draws a random number of its own, opens a socket or a file: ``tests/paxos_impl`` proves it.
"""
