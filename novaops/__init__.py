"""novaops takes a Linux host from "I can ssh into it" to "it does its job, and I can prove it"."""

__version__ = "0.1.0"
