#!/usr/bin/env python3
"""Makes a C source that says which sources a program was made from, by one SHA-256 over all of them:
scripts/fingerprint.py ROOT OUTPUT DEPFILE. The same sources give the same one on every machine, by every compiler."""
import hashlib
import pathlib
import sys

root, output, depfile = map(pathlib.Path, sys.argv[1:])
sources = [root / "meson.build", root / "examples/encode.json"]
for folder in ["include", "src"]:
    sources += [path for path in (root / folder).rglob("*")
                if path.suffix in {".c", ".h", ".proto"} or path.name == "meson.build"]
total = hashlib.sha256()
for path in sorted(sources):
    content = path.read_bytes()
    total.update(f"{path.relative_to(root)} {len(content)}\n".encode())
    total.update(content)
output.write_text("extern const char build_sources[];\n"
                  f'const char build_sources[] = "{total.hexdigest()}";\n', encoding="ascii")
depfile.write_text(f"{output}: " + " ".join(str(path).replace(" ", "\\ ") for path in sources) + "\n",
                   encoding="utf-8")
