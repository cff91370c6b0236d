internal import Kafka

/// Reads payloads from `retries` by their offsets: sorted, neighbours in one sequential reading. Confined to its reader's loop.
final class PayloadSweep {
    private let reader: LogReader
    private let partition: TopicPartition
    private(set) var isRunning = false

    init(_ reader: LogReader, _ partition: TopicPartition) {
        self.reader = reader
        self.partition = partition
    }

    /// What a finished sweep has found out about offsets that were wanted and are not there.
    struct Missing {
        var offsets: [Int64]
        /// The log's first offset: what is missing above it was retired, below it is lost.
        var logStart: Int64
    }

    /// - Parameters:
    ///   - found: Gets each wanted record; `completion` then, how many were read, and what was missing.
    func read(
        _ offsets: Set<Int64>, found: @escaping (Int64, Payload) -> Void,
        completion: @escaping (_ records: Int, Result<Missing, KafkaError>) -> Void
    ) {
        isRunning = true
        let ranges = Self.ranges(offsets.sorted(), gap: RetryManagerOptions.sweepGap)
        var left = offsets
        var count = 0
        var logStart: Int64 = 0
        func next(_ index: Int) {
            guard index < ranges.count else {
                isRunning = false
                return completion(count, .success(Missing(offsets: left.sorted(), logStart: logStart)))
            }
            reader.read(partition, from: ranges[index].lowerBound, to: ranges[index].upperBound) { record in
                count += 1
                guard left.contains(record.offset), let payload = Payload(record) else { return }
                left.remove(record.offset)
                found(record.offset, payload)
            } completion: { [weak self] result in
                switch result {
                case .success(let range):
                    logStart = range.bounds.low
                    next(index + 1)
                case .failure(let error):
                    self?.isRunning = false
                    completion(count, .failure(error))
                }
            }
        }
        next(0)
    }

    /// Sorted offsets as ranges: a new one begins where the gap to the last is too large to read through.
    static func ranges(_ sorted: [Int64], gap: Int64) -> [Range<Int64>] {
        var ranges: [Range<Int64>] = []
        for offset in sorted {
            if let last = ranges.last, offset - last.upperBound <= gap {
                ranges[ranges.count - 1] = last.lowerBound..<offset + 1
            } else {
                ranges.append(offset..<offset + 1)
            }
        }
        return ranges
    }
}
