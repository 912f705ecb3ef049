"""The answer rules: those in use now, their preview, and how admins and clients edit them."""
