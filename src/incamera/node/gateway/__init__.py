# SPDX-License-Identifier: Apache-2.0
"""The gateway: fronts one ledger and relays opaque messages (spec/relay.md).

Always a process of its own.  It holds its TLS key and the ledger's checkpoint key, and
no key of any member; it is trusted for nothing but being there.
"""
