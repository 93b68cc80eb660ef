"""Valid files, damaged as disks, editors, scripts and people damage them."""

from hypothesis import strategies as st

TOKENS = [
    b"nan", b"inf", b"-inf", b"-1", b"0", b"1e999", b"1e-999", b"999999999999", b"9" * 5000,
    b"abc", b"1.2.3", b"0x10", b"", b" ", b"\n", b"\t", b"\0", b"\x1b[31m", b"\xff\xfe",
    b"\xed\xa0\x80", b'"', b"'", b",", b";", b":", b"#", b"[", b"]", b"{", b"}", b"(", b")",
    b"[" * 3000, b"(" * 300, b"*a", b"&a ", b"!!set {a}", b"!!binary eA==", b"2026-01-02", b"? ",
    b"- ", b"<<: *a", b"~nosuchuser", b"true", b"null", b"...", b"---", b"\\u0000", b"\\ud800",
    b'"@module": "this", "@class": "X"', b"Qq", b"Li", b"Li0.5Qq", b"=1+1", b"@SUM(1)",
    b"ITEM: TIMESTEP", b"Direct configuration=     9\n", b"</calculation>", b"<calculation>",
    b"ATOMIC_POSITIONS (crystal)", b"loop_\n", b"data_x\n",
]  # fmt: skip

places = st.integers(0, 2**20)


def flip(content, place, token):
    if not content:
        return content
    place %= len(content)
    byte = token[0] if token else 255
    return content[:place] + bytes([content[place] ^ (byte or 1)]) + content[place + 1 :]


def insert(content, place, token):
    place %= len(content) + 1
    return content[:place] + token + content[place:]


def replace_word(content, place, token):
    words = content.split(b" ")
    words[place % len(words)] = token
    return b" ".join(words)


def swap_words(content, place, _token):
    lines = content.split(b"\n")
    row = place % len(lines)
    words = lines[row].split()
    if len(words) > 1:
        k = place % (len(words) - 1)
        words[k], words[k + 1] = words[k + 1], words[k]
    lines[row] = b" ".join(words)
    return b"\n".join(lines)


def delete_line(content, place, _token):
    lines = content.split(b"\n")
    del lines[place % len(lines)]
    return b"\n".join(lines)


def repeat_line(content, place, _token):
    lines = content.split(b"\n")
    row = place % len(lines)
    return b"\n".join([*lines[: row + 1], *lines[row:]])


def swap_lines(content, place, _token):
    lines = content.split(b"\n")
    one, other = place % len(lines), (place // 7) % len(lines)
    lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines)


def insert_line(content, place, token):
    lines = content.split(b"\n")
    lines.insert(place % (len(lines) + 1), token)
    return b"\n".join(lines)


def cut_tail(content, place, _token):
    return content[: place % (len(content) + 1)]


def cut_middle(content, place, token):
    begin = place % (len(content) + 1)
    return content[:begin] + content[begin + 1 + len(token) :]


WAYS = [
    flip, insert, replace_word, swap_words, delete_line, repeat_line, swap_lines, insert_line,
    cut_tail, cut_middle,
]  # fmt: skip


@st.composite
def damaged(draw, seeds):
    """Return one of the valid contents after one to four accidents."""
    content = draw(st.sampled_from(seeds))
    for way, place, token in draw(
        st.lists(st.tuples(st.sampled_from(WAYS), places, st.sampled_from(TOKENS)), max_size=4)
    ):
        content = way(content, place, token)
    return content
