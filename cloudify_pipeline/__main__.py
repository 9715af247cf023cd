"""``python -m cloudify_pipeline`` is the `cloudify` command."""

import sys

from cloudify_pipeline.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
