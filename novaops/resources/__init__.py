"""The nouns a host can have. One file each: how it should be, what to ask, and the steps that put it right."""
