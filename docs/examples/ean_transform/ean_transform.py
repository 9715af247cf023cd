"""A transform of one's own: an EAN location number that is refused when its GS1 check digit is wrong.

Installed beside the pipeline (``pip install ./ean_transform``), it is used by name::

    customers:
      fields:
        ean: {from: 'metadata."EAN nr"', transform: [ean13]}
"""


def ean13(value: object) -> str:
    """The 13 digits of an EAN; spaces and hyphens are dropped.

    Raises:
        ValueError: it has not 13 digits, or the last one is not the check digit of the others.
    """
    digits = "".join(char for char in str(value) if char.isdigit())
    if not digits:
        return ""
    if len(digits) != 13:
        raise ValueError(f"an EAN has 13 digits, not {len(digits)}")
    weighted = sum(int(digit) * (3 if position % 2 else 1) for position, digit in enumerate(digits[:12]))
    if (10 - weighted % 10) % 10 != int(digits[12]):
        raise ValueError(f"the check digit of {digits} is wrong")
    return digits
