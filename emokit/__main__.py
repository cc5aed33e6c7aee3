"""`python -m emokit`, for machines where the script is not on the path."""

from emokit.cli import main

if __name__ == "__main__":
    main()
