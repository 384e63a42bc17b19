"""What makes the documents: the table of settings, and the pages of the site."""
