"""`python -m leafward` is the same program as `leafward`."""

from leafward.cli.main import main

if __name__ == "__main__":
    main()
