"""`python -m darkpool.cli`: the command line."""

from darkpool.cli.main import main

if __name__ == "__main__":
    main()
