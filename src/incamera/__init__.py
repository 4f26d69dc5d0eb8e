# SPDX-License-Identifier: Apache-2.0
"""End-to-end encrypted meetings with no server to trust."""

__version__ = "0.1.0.dev0"
