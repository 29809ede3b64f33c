"""The format of what is published: forms, files, reader, writer."""
