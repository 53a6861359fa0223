"""`python -m novaops` is `novaops`."""

from novaops.cli import main

if __name__ == "__main__":
    main()
