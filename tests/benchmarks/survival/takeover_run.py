"""stub"""


def main(arguments: list[str]) -> int:
    return 1
