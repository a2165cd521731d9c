"""Load: what the service carries, measured over HTTP from outside."""
