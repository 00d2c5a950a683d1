"""The front door of notebooks: a frame and the roles of its columns -> a result to ask.

`compare` reads whatever holds the data, settles priors and programs, fits them, and returns a
`Result`: tables that are computed when they are asked for, figures, groups and differences, the
report, a folder to save it to. The command line calls the same functions below this room.
"""
