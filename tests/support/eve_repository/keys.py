"""A public key that was made once by gpg, for tests without one: ed25519, user "eve@example.org"."""

from __future__ import annotations

import base64

FINGERPRINT = "AA38B36676315EA4FBBE083BAA9DA790B235783A"

KEY = base64.b64decode(
    "mDMEawil4hYJKwYBBAHaRw8BAQdAI3DfGhyrHiAgAUPdcdVM4oias8bo7/+kX5rKw/9OScy0D2V2ZUBleGFtcGxlLm9yZ4iQBBMW"
    "CAA4FiEEqjizZnYxXqT7vgg7qp2nkLI1eDoFAmsIpeICGwMFCwkIBwIGFQoJCAsCBBYCAwECHgECF4AACgkQqp2nkLI1eDooVwEA"
    "mHH8+8oF4FNTZrru29W378znG45TX3qa3uTZrSL4elEBANQSFHGpJMjbmHM+tRoUJKXebRcxp1tyoXI2/Q5K0x4D"
)
