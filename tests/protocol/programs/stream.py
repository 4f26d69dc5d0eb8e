# SPDX-License-Identifier: Apache-2.0
"""A sender and a receiver, for a parent that looks into this process's memory.

Reads a 32-byte base key, protects and opens frames, says `during`, waits for a byte,
wipes, says `after`, waits for the end of its input.
"""

import gc
import os

from incamera.protocol.frames import StreamId, StreamReceiver, StreamSender
from incamera.protocol.ids import MeetingId
from incamera.protocol.secret import Secret

base = Secret(bytearray(32))
os.readv(0, [base.buffer])
meeting = MeetingId(bytes(32))
sender, receiver = StreamSender(meeting, StreamId(3, 5)), StreamReceiver(meeting, 3)
sender.install(1, base)
sender.switch(1)
receiver.announce(5)
receiver.install(1, 5, base)
base.wipe()
for _ in range(1000):
    receiver.open(sender.protect(b"frame"))
os.write(1, b"during\n")
os.read(0, 1)
sender.wipe()
receiver.wipe()
gc.collect()
os.write(1, b"after\n")
os.read(0, 1)
