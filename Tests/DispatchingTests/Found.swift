import Kafka
import Synchronization

/// Collects records from a reader's thread.
final class Found: Sendable {
    private let records = Mutex<[CopiedRecord]>([])
    func append(_ record: CopiedRecord) { records.withLock { $0.append(record) } }
    var all: [CopiedRecord] { records.withLock { $0 } }
}
