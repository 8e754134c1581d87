"""The marketer's console: pages made on the server, in the reader's language; the scripts are our own."""
