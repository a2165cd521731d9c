"""Proofs: what the service promises, shown on the running service; each command prints target, found, met."""
