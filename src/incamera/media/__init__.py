# SPDX-License-Identifier: Apache-2.0
"""WebRTC for headless members (spec/media.md)."""
