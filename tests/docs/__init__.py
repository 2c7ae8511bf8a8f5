"""Tests of the pages: every block of code in them runs here, or says why it doesn't."""
