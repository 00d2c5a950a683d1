"""Reports: a comparison comes in, one HTML page and a folder of results go out.

Sentences, tables and figures are made here for people to read; `results` and `rerun` write and
repeat the folders of every command.
"""
