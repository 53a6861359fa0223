"""What the checks see of a host, apart from what they claim of it. One file per feature."""
