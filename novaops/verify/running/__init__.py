"""How the checks are run: testinfra over novaops' own sessions, inside one pytest. No feature is known here."""
