# SPDX-License-Identifier: Apache-2.0
"""The pure protocol core: no sockets, files, clock, randomness or logging."""
