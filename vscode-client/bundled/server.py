"""Start the language server from the packages that lie beside this file, whatever the interpreter has installed.

Run with ``python -I``: the packages beside this file come first, the environment's variables and the user's own site
packages do not count. This file must parse on every Python 3, so that an old one gets a sentence, not a traceback.
"""

import os
import sys

OLDEST = (3, 10)


def main():
    if sys.version_info < OLDEST:
        found = ".".join(str(part) for part in sys.version_info[:3])
        sys.stderr.write("ts-shape-server needs Python 3.10 or newer; %s is %s\n" % (sys.executable, found))
        return 2
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "libs"))
    from ts_shape_server.__main__ import main as serve

    return serve()


if __name__ == "__main__":
    sys.exit(main())
