"""Who works on what: leases, the heartbeat that keeps them alive, and claims on proposals."""
