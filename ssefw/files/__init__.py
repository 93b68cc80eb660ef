"""Files as users have them: read with care, and written whole or not at all."""

from ssefw.files.plain import check_plain, listed, printable, read_json
from ssefw.files.reading import InputFile, expand_user, open_input, read_bytes, read_text
from ssefw.files.writing import disk_full, replacing

__all__ = [
    "InputFile",
    "check_plain",
    "disk_full",
    "expand_user",
    "listed",
    "open_input",
    "printable",
    "read_bytes",
    "read_json",
    "read_text",
    "replacing",
]
