"""How long data is kept, erasing a person, and handing out what is kept of one."""
