internal import Kafka
internal import Logs
internal import Records
internal import Settling
internal import WireFormat

/// Reads the outcomes that a takeover has to know, from several partitions of `attempts` at once. On the control loop.
final class AttemptsReader {
    typealias Completion = (Result<[SourceMemory], KafkaError>) -> Void

    private let topic: String
    private let reader: LogReader
    private let log: Logger

    init(topic: String, reader: LogReader, log: Logger) {
        self.topic = topic
        self.reader = reader
        self.log = log
    }

    /// One reading: what has been learned so far, and how many partitions are still to come.
    private final class Reading {
        var memories: [SourceMemory]
        var left: Int
        var completion: Completion?

        init(_ memories: [SourceMemory], left: Int, completion: @escaping Completion) {
            self.memories = memories
            self.left = left
            self.completion = completion
        }

        func finish(_ result: Result<[SourceMemory], KafkaError>) {
            completion?(result)
            completion = nil
        }
    }

    /// Lets each memory learn from the outcomes of these ranges, by partition.
    func read(_ ranges: [Int32: Range<Int64>], memories: [SourceMemory], completion: @escaping Completion) {
        guard !ranges.isEmpty else { return completion(.success(memories)) }
        let reading = Reading(memories, left: ranges.count, completion: completion)
        for (partition, range) in ranges {
            let name = TopicPartition(topic, partition)
            reader.read(name, from: range.lowerBound, to: range.upperBound) { [self] record in
                learn(record, reading)
            } completion: { result in
                switch result {
                case .failure(let error): reading.finish(.failure(error))
                case .success:
                    reading.left -= 1
                    if reading.left == 0 { reading.finish(.success(reading.memories)) }
                }
            }
        }
    }

    private func learn(_ record: borrowing Record, _ reading: Reading) {
        guard let value = record.value else { return }
        do {
            let outcome = try Outcome(decoding: value)
            for index in reading.memories.indices { reading.memories[index].learn(outcome) }
        } catch {
            log.error(
                "a record of attempts is no outcome",
                metadata: ["partition": "\(record.topicPartition)", "offset": "\(record.offset)", "error": "\(error)"])
        }
    }

    func close() { reader.close() }
}
