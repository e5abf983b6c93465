"""The shell: Faust apps, Kafka, settings, files, the command line."""
