"""The EU's register of VAT numbers (VIES): is this number in use, and whose is it."""
