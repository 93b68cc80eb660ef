"""Structures, pools and trajectory frames as data."""

from ssefw.data.frames import Chunk, decode_chunk, decode_series, encode_chunk, join_chunks
from ssefw.data.held import HeldCandidate, hold
from ssefw.data.pools import Pool, Reject, candidate_from_text, merge_candidates, read_pool
from ssefw.data.structures import content_id, expand_to_length, order_structure, same_structure

__all__ = [
    "Chunk",
    "HeldCandidate",
    "Pool",
    "Reject",
    "candidate_from_text",
    "content_id",
    "decode_chunk",
    "decode_series",
    "encode_chunk",
    "expand_to_length",
    "hold",
    "join_chunks",
    "merge_candidates",
    "order_structure",
    "read_pool",
    "same_structure",
]
