import Testing

/// Martlet from the outside: its executables, its API, its topics. One test at a time, on one system for each kind of Kafka.
@Suite(.serialized, StopsSystems()) struct BlackBoxTests {}
