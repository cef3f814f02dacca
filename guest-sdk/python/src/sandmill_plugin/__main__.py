"""`python -m sandmill_plugin build plugin.py -o target/plugin.wasm`"""

import sys

from .build import main

if __name__ == "__main__":
    sys.exit(main())
