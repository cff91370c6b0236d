internal import EventLoops

/// One range of one partition being read. Belongs to the loop's thread.
///
/// ```
/// begin ─► bounds asked for ─► reading ─► the end is reached ─► onEnd
///               ▲                 │ the log's start overtook the position
///               └─────────────────┘
/// ```
/// The end is reached by a record at or above `to`, by the record just below it, or by the log's own end where the last
/// offsets of the range have no record.
final class RangeRead {
    /// More often than this the log's start is not overtaken but unreadable.
    private static let maxRestarts = 5

    let partition: TopicPartition
    var onEnd: ((Result<LogRange, KafkaError>) -> Void)?
    private let handle: ClientHandle
    private let loop: EventLoop
    private let timeoutMilliseconds: UInt64
    private let onRecord: (borrowing Record) -> Void
    private let wantedTo: Int64?
    /// First the wanted start; from `bounds` on, that clamped to the log.
    private var from: Int64
    /// What is to be read next.
    private var position: Int64
    private var to: Int64 = 0
    private var bounds = Watermarks(low: 0, high: 0)
    private var records = 0
    private var restarts = 0
    private var progress = 0
    private var reading: PartitionReading?
    private var isEnded = false

    init(
        _ partition: TopicPartition, from: Int64, to: Int64?, timeoutMilliseconds: UInt64, of handle: ClientHandle,
        on loop: EventLoop, onRecord: @escaping (borrowing Record) -> Void
    ) {
        self.partition = partition
        self.from = from
        position = from
        wantedTo = to
        self.timeoutMilliseconds = timeoutMilliseconds
        self.handle = handle
        self.loop = loop
        self.onRecord = onRecord
    }

    func begin() {
        guardProgress()
        askForBounds()
    }

    func cancel() {
        isEnded = true
        onEnd = nil
        reading?.stop()
        reading = nil
    }

    func end(_ result: Result<LogRange, KafkaError>) {
        guard !isEnded else { return }
        let onEnd = onEnd
        cancel()
        onEnd?(result)
    }

    private func guardProgress() {
        let before = progress
        loop.after(milliseconds: timeoutMilliseconds) { [weak self] in
            guard let self, !isEnded else { return }
            guard progress == before else { return guardProgress() }
            end(.failure(KafkaError(.timedOut, "reading \(partition) made no progress for \(timeoutMilliseconds) ms")))
        }
    }

    private func askForBounds() {
        let confined = Confined(WeakBox(self))
        let timeout = Int32(clamping: timeoutMilliseconds)
        handle.onOwnThread { [loop, partition] client in
            let result = queryWatermarks(client, [partition], timeout)
            loop.execute { confined.value.object?.learned(result) }
        }
    }

    private func learned(_ result: Result<[TopicPartition: Watermarks], KafkaError>) {
        guard !isEnded else { return }
        switch result {
        case .failure(let error): end(.failure(error))
        case .success(let found):
            let now = found[partition] ?? bounds
            // A second look, after the log's start moved, keeps the end that the first one found.
            if restarts == 0 {
                bounds = now
                to = min(wantedTo ?? now.high, now.high)
                from = max(from, now.low)
            }
            position = max(position, now.low)
            position < to ? read() : finish()
        }
    }

    private func read() {
        do throws(KafkaError) {
            reading = try PartitionReading(
                partition, from: position, of: handle, on: loop,
                onRecord: { [unowned self] record in took(record) },
                onEvent: { [unowned self] event in met(event) })
        } catch {
            end(.failure(error))
        }
    }

    private func took(_ record: borrowing Record) {
        progress += 1
        let offset = record.offset
        guard offset < to else { return finish() }
        records += 1
        position = offset + 1
        onRecord(record)
        if position >= to { finish() }
    }

    private func met(_ event: PartitionReading.Event) {
        switch event {
        case .end(let offset): if offset >= to { finish() }
        case .failed(let error): end(.failure(error))
        case .outOfRange(let error):
            restarts += 1
            reading?.stop()
            reading = nil
            guard restarts <= Self.maxRestarts else { return end(.failure(error)) }
            askForBounds()
        }
    }

    private func finish() {
        end(.success(LogRange(from: from, to: max(from, to), records: records, bounds: bounds)))
    }
}
