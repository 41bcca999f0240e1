"""From text to numbers: one byte-level BPE for all arms, and the token stores that training reads."""
