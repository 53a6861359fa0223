"""`python -m novaops` is `novaops`."""

from novaops.app import main

if __name__ == "__main__":
    main()
