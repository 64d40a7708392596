"""Compiles all kernels for every architecture with NVRTC and holds what each takes against the table beside this file:
registers, bytes of shared memory, and no spills.

    registers.py DIR [update]     DIR holds libnvrtc.so.12
"""

import ctypes
import glob
import os
import re
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = Path(__file__).with_name("registers.txt")
ARCHS = [75, 80, 86, 89, 90]
NAMES = ", ".join(f"sm_{a}" for a in ARCHS)
HEAD = f"# kernel, then registers a thread on {NAMES}, with + the bytes that a block shares; made by `.ci/gpu.sh update`\n"


def source():
    """All kernels as one text, as the build script joins them."""
    files = sorted(glob.glob(str(ROOT / "kernels/*.cu*")), key=lambda f: (not f.endswith(".cuh"), f))
    return "".join(f'#line 1 "kernels/{os.path.basename(f)}"\n{Path(f).read_text()}' for f in files)


class Compiler:
    def __init__(self, directory):
        # The compiler opens this one by its bare name.
        ctypes.CDLL(glob.glob(f"{directory}/libnvrtc-builtins.so.*")[0])
        self.lib = ctypes.CDLL(f"{directory}/libnvrtc.so.12")

    def log(self, text, arch):
        """What the assembler says of each kernel."""
        program = ctypes.c_void_p()
        assert self.lib.nvrtcCreateProgram(ctypes.byref(program), text.encode(), b"kernels.cu", 0, None, None) == 0
        options = [f"--gpu-architecture={arch}", "--fmad=false", "--std=c++17", "--ptxas-options=-v"]
        array = (ctypes.c_char_p * len(options))(*[o.encode() for o in options])
        code = self.lib.nvrtcCompileProgram(program, len(options), array)
        size = ctypes.c_size_t()
        self.lib.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        self.lib.nvrtcGetProgramLog(program, log)
        self.lib.nvrtcDestroyProgram(ctypes.byref(program))
        if code != 0:
            raise RuntimeError(f"{arch}: error {code}\n{log.value.decode()}")
        return log.value.decode()


def compiled(directory, text, arch):
    """In a process of its own, so that architectures are compiled side by side."""
    return kernels(Compiler(directory).log(text, f"sm_{arch}"))


def kernels(log):
    """Registers with shared bytes, and bytes spilled, by kernel."""
    found = {}
    name = None
    for line in log.splitlines():
        if m := re.search(r"Compiling entry function '(\w+)'", line):
            name = m[1]
        elif m := re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", line):
            spilled = int(m[1]) + int(m[2])
        elif m := re.search(r"Used (\d+) registers", line):
            shared = re.search(r"(\d+) bytes smem", line)
            found[name] = (m[1] + (f"+{shared[1]}" if shared else ""), spilled)
    return found


def main():
    text = source()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        count = len(ARCHS)
        logs = list(pool.map(compiled, [sys.argv[1]] * count, [text] * count, ARCHS))
    passed, failed = 0, 0
    rows = {name: [log[name][0] for log in logs] for name in sorted(logs[0])}
    for name in rows:
        for arch, log in zip(ARCHS, logs):
            if log[name][1]:
                print(f"{name} spills {log[name][1]} bytes on sm_{arch}")
                failed += 1
    made = HEAD + "".join(f"{name} {' '.join(map(str, row))}\n" for name, row in rows.items())
    if "update" in sys.argv:
        TABLE.write_text(made)
    elif TABLE.read_text() != made:
        old = dict(line.split(" ", 1) for line in TABLE.read_text().splitlines()[1:])
        for name, row in rows.items():
            now = " ".join(map(str, row))
            if old.get(name) != now:
                print(f"{name}: registers {now}, in the table {old.get(name)}")
                failed += 1
        for name in old.keys() - rows.keys():
            print(f"{name}: in the table, and no kernel")
            failed += 1
    passed = max(len(rows) * len(ARCHS) - failed, 0)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
