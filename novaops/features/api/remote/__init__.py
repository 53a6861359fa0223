"""Files and knowledge bases at a provider."""
