#!/usr/bin/env python3
"""Makes a C source of a text file: scripts/embed.py INPUT OUTPUT NAME gives `const char NAME[]`."""
import pathlib
import sys

text = pathlib.Path(sys.argv[1]).read_bytes()
lines = [", ".join(f"0x{byte:02x}" for byte in text[at:at + 16]) for at in range(0, len(text), 16)]
pathlib.Path(sys.argv[2]).write_text(
    f"extern const char {sys.argv[3]}[];\nconst char {sys.argv[3]}[] = {{\n"
    + "".join(f"    {line},\n" for line in lines) + "    0x00,\n};\n", encoding="ascii")
