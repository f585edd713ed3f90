import sys

from rcqueue.cli import main

sys.exit(main())
