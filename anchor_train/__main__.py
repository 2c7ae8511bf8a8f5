"""``python -m anchor_train``: the same as ``anchor-train``."""

from anchor_train.cli import main

if __name__ == "__main__":
    main(prog_name="anchor-train")
