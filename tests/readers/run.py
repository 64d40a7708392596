"""Reads what voxtile writes, and gives voxtile what others write.

    python tests/readers/run.py [WORD ...]

Needs the release binary (or another one, named by $VOXTILE) and requirements.txt. With words, only the checks whose name
contains one of them.
"""

from common import main

MODULES = ["operations", "stores", "outputs", "inputs", "corpus", "ngff", "slides", "labels", "thresholds", "stains"]

if __name__ == "__main__":
    raise SystemExit(main(MODULES))
