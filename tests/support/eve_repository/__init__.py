"""A stand-in for EVE-NG's repository: signed packages that misbehave as the real ones are known to do."""
