"""Stripe invoices become ledger documents, exactly once."""
