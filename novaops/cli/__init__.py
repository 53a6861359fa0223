"""The command line: options, output, and the verbs that are no feature's own."""
