# SPDX-License-Identifier: Apache-2.0
"""End-to-end encrypted meetings with no server to trust."""
