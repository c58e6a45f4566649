"""Which names and paths a disk of Linux can hold, as texts with surrogate escapes (PEP 383). Pure."""

from functools import lru_cache

MOST_NAME_BYTES = 255
# PATH_MAX without the zero byte at its end.
MOST_PATH_BYTES = 4095


def why_no_path(path: str) -> str:
    """Why this can be no path below the state folder, or "" where it can ("" is the folder itself)."""
    if not path:
        return ""
    folder, slash, name = path.rpartition("/")
    return why_no_text(path, MOST_PATH_BYTES) or (_why_no_folder(folder) if slash else "") or _why_no_part(name)


def why_no_text(text: str, most_bytes: int) -> str:
    """Why no disk gives this text back as it is, or "" where it does."""
    if "\0" in text:
        return "it holds a zero byte"
    if text.isascii():
        return "" if len(text) <= most_bytes else f"it has more than {most_bytes} bytes"
    try:
        encoded = text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return "it holds half of a surrogate pair"
    if len(encoded) > most_bytes:
        return f"it has more than {most_bytes} bytes"
    # Two spellings of one name would be two entries for one file.
    return "" if encoded.decode(errors="surrogateescape") == text else "it is UTF-8 spelt as single bytes"


# Entries come folder by folder.
@lru_cache(maxsize=512)
def _why_no_folder(path: str) -> str:
    return next((why for part in path.split("/") if (why := _why_no_part(part))), "")


def _why_no_part(name: str) -> str:
    if name in ("", ".", ".."):
        return "it could leave the state folder"
    if len(name) * 4 <= MOST_NAME_BYTES:
        return ""
    if len(name.encode(errors="surrogateescape")) > MOST_NAME_BYTES:
        return f"a name in it has more than {MOST_NAME_BYTES} bytes"
    return ""
