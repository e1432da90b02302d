"""The job as a Kafka Streams application in Java: its source, its jars, how it is compiled and run."""
