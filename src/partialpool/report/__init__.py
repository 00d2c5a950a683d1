"""Reports: a comparison comes in, one HTML file and a folder of tables, figures and draws go out."""
