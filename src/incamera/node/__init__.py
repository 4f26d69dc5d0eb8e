# SPDX-License-Identifier: Apache-2.0
"""The asyncio shell: the user's daemon and the gateway."""
