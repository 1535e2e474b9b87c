"""`python -m ramlib` is `ramlib`."""

import sys

from ramlib.cli import main

sys.exit(main())
