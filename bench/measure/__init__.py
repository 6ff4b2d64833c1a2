"""What `bench/run` is made of: a module for each thing that is started, measured or written."""
