"""Certificates as values. Pure: no file, socket, clock, randomness or logging; `now`, serials and keys are arguments.

The order of the rooms: `names`, `key_types` and `validity` are the words; a `profile` says what a kind of certificate
holds; a `request` says what is asked; the `issuer` prepares, checks and signs; a `chain` is what comes out.
"""
