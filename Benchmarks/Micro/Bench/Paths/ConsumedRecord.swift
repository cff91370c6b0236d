import EventLoops
import Kafka

/// Calls `use` with a consumed record; librdkafka hands out no other, so it goes through an in-memory broker. Blocks its thread, which `use` is
/// called on.
func withRecord(
    key: String, value: [UInt8], headers fields: [(StaticString, String)],
    _ use: @escaping (UnsafePointer<Record>) -> Void
) throws {
    let cluster = try MockCluster()
    try cluster.createTopic("events", partitions: 1)
    let loop = try EventLoop()
    let client = KafkaConfiguration(brokers: cluster.bootstrapServers, clientID: "bench")
    var reading = LogReaderConfiguration(client)
    reading.fetchWaitMilliseconds = 10
    let reader = try LogReader(reading, on: loop)
    var failure: KafkaError?
    let producer = try Producer(
        ProducerConfiguration(client), on: loop,
        handlers: ProducerHandlers(report: { _, _ in
            reader.read(
                TopicPartition("events", 0), from: 0,
                record: { record in withUnsafePointer(to: record) { use($0) } },
                completion: { result in
                    if case .failure(let error) = result { failure = error }
                    loop.stop()
                })
        }))
    var headers = RecordHeaders()
    for (name, text) in fields { headers.append(name, text) }
    let topic = try producer.topic("events")
    let result = Array(key.utf8).withUnsafeBytes { key in
        value.withUnsafeBytes { producer.produce(to: topic, key: key, value: $0, headers: headers, token: 0) }
    }
    guard result == .queued else { throw Benchmark.WrongResult(description: "the broker took no record: \(result)") }
    loop.run()
    reader.close()
    if let failure { throw failure }
}
