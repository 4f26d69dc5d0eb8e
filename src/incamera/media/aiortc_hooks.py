# SPDX-License-Identifier: Apache-2.0
"""Where do we reach into aiortc, and does it still look as we expect?

Everything private of aiortc (>=1.16,<1.17) that we use is used here and nowhere else.
Each hook changes one instance, never a class, and fails with MediaError when the part
it replaces is missing, so that an unexpected aiortc never passes frames around us.
"""

import queue
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final, TypeAlias

from aiortc import RTCRtpReceiver, RTCRtpSender, RTCRtpTransceiver

from incamera.errors import Code, MediaError

GotFrame: TypeAlias = Callable[[bytes, int], None]
"""Takes a whole received frame and its time in ticks; must not raise."""

_DECODER_QUEUE: Final = "_RTCRtpReceiver__decoder_queue"
_KEY_FRAME_WANTED: Final = "_send_keyframe"
_GATHER: Final = "get_component_candidates"


class _FrameTap(queue.Queue[Any]):  # Any: aiortc's pairs of codec and frame
    """Stands where a decoder's queue was; the decoder gets nothing but the end."""

    def __init__(self, got: GotFrame) -> None:
        super().__init__()
        self._got = got

    def put(self, item: Any, *waiting: Any, **options: Any) -> None:
        if item is None:
            super().put(None, *waiting, **options)
            return
        _, frame = item
        self._got(frame.data, frame.timestamp)


def tap_receiver(receiver: RTCRtpReceiver, got: GotFrame) -> None:
    """Send every frame that `receiver` puts together to `got`, and to nobody else.

    Raises MediaError if the receiver has no decoder queue or has used it already.
    """
    present = _required(receiver, _DECODER_QUEUE)
    if not isinstance(present, queue.Queue) or not present.empty():
        raise MediaError(Code.MEDIA_CONNECTION, "aiortc's receiver is not as expected")
    setattr(receiver, _DECODER_QUEUE, _FrameTap(got))


def is_tapped(receiver: RTCRtpReceiver) -> bool:
    """True if no frame of this receiver can reach a decoder."""
    return isinstance(getattr(receiver, _DECODER_QUEUE, None), _FrameTap)


def hear_key_frame_requests(sender: RTCRtpSender, wanted: Callable[[], None]) -> None:
    """Call `wanted` when the other side asks for a key frame (PLI or FIR).

    aiortc passes such a request to its own encoder only, which we do not use.
    """
    _required(sender, _KEY_FRAME_WANTED)
    setattr(sender, _KEY_FRAME_WANTED, wanted)


async def ask_key_frame(receiver: RTCRtpReceiver) -> None:
    """Ask the other side for a key frame (PLI); nothing if it has sent nothing yet."""
    send: Callable[[int], Awaitable[None]] = _required(receiver, "_send_rtcp_pli")
    for source in receiver.getSynchronizationSources():
        await send(source.source)


def limit_addresses(transceiver: RTCRtpTransceiver, addresses: Collection[str]) -> None:
    """Gather candidates on `addresses` and on no other interface."""
    connection = _required(transceiver.receiver.transport.transport, "_connection")
    gather = _required(connection, _GATHER)
    allowed = list(addresses)

    async def gather_there(**how: Any) -> Any:
        return await gather(**{**how, "addresses": allowed})

    setattr(connection, _GATHER, gather_there)


def _required(owner: object, name: str) -> Any:
    """Return a private attribute, or raise MediaError: the version is not ours."""
    if not hasattr(owner, name):
        raise MediaError(Code.MEDIA_CONNECTION, f"this aiortc lacks {name}")
    return getattr(owner, name)
